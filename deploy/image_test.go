//go:build image

package deploy_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The image, without an image builder: the Dockerfile's own commands make its file
// system, and mixsync runs in it as a pod would have it: chrooted, read-only, as the
// image's user, with a volume for the state. It takes minutes where DuckDB is not
// compiled yet, and needs root for chroot and mounts:
//
//	sudo go test -tags image -run TestImage ./deploy
func TestImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("chroot and mounts need root: run it by sudo, or in a container")
	}
	image, state := buildImage(t)
	t.Run("static", func(t *testing.T) {
		f, err := elf.Open(filepath.Join(image, "mixsync"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("the binary has a %v segment: it wants a dynamic linker", p.Type)
			}
		}
	})

	m := load(t)
	for _, w := range m.workloads {
		t.Run(filepath.Base(w.file), func(t *testing.T) {
			_, final := dockerfile(t)
			env := final.environment()
			for name, value := range m.secrets["mixsync"].StringData {
				env[name] = value
			}
			for _, v := range w.container().Env {
				env[v.Name] = v.Value
			}
			env["SHOP_DSN"] = "postgres://mixsync@127.0.0.1:1/shop?sslmode=disable"
			env["KUBERNETES_SERVICE_HOST"] = "10.96.0.1"
			config := t.TempDir()
			project(t, config, m.configMaps["mixsync"].Data)

			want := 3
			if w.container().Args[0] != "run" {
				want = 0
			}
			inImage(t, image, config, state, env, w.container().Args).want(t, want)
			if want == 3 {
				r := inImage(t, image, config, "", env, w.container().Args)
				r.want(t, 2)
				if !strings.Contains(r.stdout+r.stderr, "on no mounted volume") {
					t.Errorf("without a volume: %s%s", r.stdout, r.stderr)
				}
			}
		})
	}
}

// buildImage runs what the Dockerfile runs, in folders of its own, and returns the
// file system of the image and the folder of the state.
func buildImage(t *testing.T) (image, state string) {
	t.Helper()
	root := t.TempDir()
	// The chrooted user must get through to it.
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	image, state = filepath.Join(root, "image"), filepath.Join(root, "state")
	here := strings.NewReplacer("/image", image, "/state", state)
	build, _ := dockerfile(t)
	runs := build.all("RUN")
	commands := append(runs[:len(runs)-1:len(runs)-1], buildCommand(t))
	for _, command := range commands {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", here.Replace(command))
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	if err := os.Chown(state, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	return image, state
}

// inImage runs mixsync in the file system of the image, in mounts of its own that
// end with it; without a state folder nothing is mounted for the state.
func inImage(t *testing.T, image, config, state string, env map[string]string, args []string) result {
	t.Helper()
	const script = `
image=$1 config=$2 state=$3; shift 3
mkdir -p "$image/etc/mixsync" "$image/var/lib/mixsync" "$image/proc"
mount --make-rprivate /
mount --bind "$image" "$image"
mount --bind "$config" "$image/etc/mixsync"
if [ -n "$state" ]; then mount --bind "$state" "$image/var/lib/mixsync"; fi
mount -t tmpfs -o mode=1777 tmpfs "$image/tmp"
mount -t proc proc "$image/proc"
mount -o remount,bind,ro "$image"
exec chroot --userspec=65532:65532 --groups= "$image" /mixsync "$@"
`
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "sh", "-ec", script, "-", image, config, state}, args...)...)
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HTTPS_PROXY=http://127.0.0.1:1", "MIXSYNC_BACKOFF_SCALE=0")
	if err := os.Chmod(config, 0o755); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
