package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// instruction is one of a Dockerfile: "COPY", "--from=build /image/ /".
type instruction struct{ name, args string }

// stage is a FROM and what follows it.
type stage struct {
	base string
	then []instruction
}

// all returns the arguments of every instruction of that name.
func (s stage) all(name string) []string {
	var list []string
	for _, i := range s.then {
		if i.name == name {
			list = append(list, i.args)
		}
	}
	return list
}

// last returns the arguments of the instruction that counts where there may be several.
func (s stage) last(t *testing.T, name string) string {
	t.Helper()
	list := s.all(name)
	if len(list) == 0 {
		t.Fatalf("stage FROM %s: there is no %s", s.base, name)
	}
	return list[len(list)-1]
}

// dockerfile returns the stages of the Dockerfile: the build and the image.
func dockerfile(t *testing.T) (build, image stage) {
	t.Helper()
	data, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var stages []stage
	open := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		open += line
		if rest, more := strings.CutSuffix(open, `\`); more {
			open = rest
			continue
		}
		name, args, _ := strings.Cut(open, " ")
		open = ""
		if name == "FROM" {
			stages = append(stages, stage{base: args})
			continue
		}
		if len(stages) == 0 {
			t.Fatalf("Dockerfile: %s before FROM", name)
		}
		s := &stages[len(stages)-1]
		s.then = append(s.then, instruction{name, strings.TrimSpace(args)})
	}
	if len(stages) != 2 {
		t.Fatalf("Dockerfile: %d stages, want a build and an image", len(stages))
	}
	return stages[0], stages[1]
}

// environment returns the ENV of a stage.
func (s stage) environment() map[string]string {
	env := map[string]string{}
	for _, args := range s.all("ENV") {
		for pair := range strings.FieldsSeq(args) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
	}
	return env
}

func TestImageIsEmptyButForTheBinary(t *testing.T) {
	t.Parallel()
	build, image := dockerfile(t)
	if image.base != "scratch" {
		t.Errorf("FROM %s, want scratch", image.base)
	}
	if runs := image.all("RUN"); len(runs) > 0 {
		t.Errorf("RUN %s: there is nothing in the image to run", runs[0])
	}
	var entrypoint []string
	if err := json.Unmarshal([]byte(image.last(t, "ENTRYPOINT")), &entrypoint); err != nil {
		t.Errorf("ENTRYPOINT must be in JSON, as there is no shell: %v", err)
	}
	if want := []string{"/mixsync"}; !slices.Equal(entrypoint, want) {
		t.Errorf("ENTRYPOINT %q, want %q", entrypoint, want)
	}
	uid, _, _ := strings.Cut(image.last(t, "USER"), ":")
	if n, err := strconv.Atoi(uid); err != nil || n == 0 {
		t.Errorf("USER %s: want a number that is not 0, or Kubernetes refuses it under runAsNonRoot", uid)
	}
	for _, want := range []string{"/image/etc/ssl/certs", "chmod 1777 /image/tmp", "ca-certificates.crt"} {
		if !slices.ContainsFunc(build.all("RUN"), func(run string) bool { return strings.Contains(run, want) }) {
			t.Errorf("no RUN of the build names %q", want)
		}
	}
	if env := image.environment(); env["HOME"] != "/tmp" || env["TMPDIR"] != "/tmp" {
		t.Errorf("HOME=%s TMPDIR=%s, want /tmp: nothing else can be written", env["HOME"], env["TMPDIR"])
	}
}

// The image is built by the Go version that go.mod asks for.
func TestImageGoVersion(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(mod)
	if version == nil {
		t.Fatal("go.mod names no Go version")
	}
	build, _ := dockerfile(t)
	if want := "golang:" + string(version[1]) + "-bookworm AS build"; build.base != want {
		t.Errorf("FROM %s, want %s", build.base, want)
	}
}

// buildCommand is the command that makes the binary of the image, without the
// flags that are the image builder's.
func buildCommand(t *testing.T) string {
	t.Helper()
	build, _ := dockerfile(t)
	run := build.last(t, "RUN")
	for strings.HasPrefix(run, "--") {
		_, run, _ = strings.Cut(run, " ")
		run = strings.TrimSpace(run)
	}
	return run
}

func TestImageBuildCommand(t *testing.T) {
	t.Parallel()
	got := strings.Join(strings.Fields(buildCommand(t)), " ")
	want := `CGO_ENABLED=1 go build -trimpath -tags netgo,osusergo,minicore_disabled ` +
		`-ldflags='-s -w -linkmode external -extldflags "-static"' -o /image/mixsync ./cmd/mixsync`
	if got != want {
		t.Errorf("the build command is\n%s\nwant\n%s", got, want)
	}
}
