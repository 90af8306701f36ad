package deploy_test

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pod is a workload's pod on this machine: a folder for each mount, what the
// container would have in its environment, and the paths in it and in the
// arguments moved there.
type pod struct {
	args   []string
	env    map[string]string
	mounts map[string]string // by the path in the container
	moved  *strings.Replacer
}

// schedule lays out the pod of a workload, with the variables of its Secrets only
// if withSecrets is set.
func schedule(t *testing.T, m manifests, w workload, withSecrets bool) *pod {
	t.Helper()
	p := &pod{mounts: map[string]string{}}
	root := t.TempDir()
	for _, mount := range w.container().VolumeMounts {
		dir := filepath.Join(root, mount.MountPath)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		p.mounts[mount.MountPath] = dir
		if v := w.volumeAt(mount.MountPath); v != nil && v.ConfigMap != nil {
			project(t, dir, m.configMaps[v.ConfigMap.Name].Data)
		}
	}
	var moves []string
	for _, path := range slices.SortedFunc(maps.Keys(p.mounts), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		moves = append(moves, path, p.mounts[path])
	}
	p.moved = strings.NewReplacer(moves...)

	_, image := dockerfile(t)
	p.env = image.environment()
	for _, v := range w.container().Env {
		p.env[v.Name] = v.Value
	}
	for name, value := range p.env {
		p.env[name] = p.moved.Replace(value)
	}
	for _, arg := range w.container().Args {
		p.args = append(p.args, p.moved.Replace(arg))
	}
	if withSecrets {
		for _, from := range w.container().EnvFrom {
			maps.Copy(p.env, m.secrets[from.SecretRef.Name].StringData)
		}
	}
	return p
}

// project writes the entries of a ConfigMap as kubelet does: links to links, so
// that all of them change at once.
func project(t *testing.T, dir string, entries map[string]string) {
	t.Helper()
	const version = "..2026_11_22_10_00_00.1234567890"
	err := os.Mkdir(filepath.Join(dir, version), 0o755)
	err = errors.Join(err, os.Symlink(version, filepath.Join(dir, "..data")))
	for name, text := range entries {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, version, name), []byte(text), 0o644),
			os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

type result struct {
	code           int
	stdout, stderr string
}

// run runs mixsync in the pod. It can reach nothing outside of this machine.
func (p *pod) run(t *testing.T, args ...string) result {
	t.Helper()
	_, image := dockerfile(t)
	cmd := exec.CommandContext(t.Context(), mixsync(t), args...)
	cmd.Dir = p.moved.Replace(image.last(t, "WORKDIR"))
	for name, value := range p.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "HTTPS_PROXY=http://127.0.0.1:1", "MIXSYNC_BACKOFF_SCALE=0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (r result) want(t *testing.T, code int) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.stdout, r.stderr)
	}
}

func TestConfigMap(t *testing.T) {
	t.Parallel()
	m := load(t)
	w := m.workloads[0]
	t.Run("without secrets", func(t *testing.T) {
		t.Parallel()
		p := schedule(t, m, w, false)
		p.run(t, "check", "--offline", "--allow-unset").want(t, 0)
		if r := p.run(t, "check", "--offline"); r.code != 2 {
			t.Errorf("exit code %d, want 2: then the Secret is of no use\n%s", r.code, r.stdout)
		}
	})
	t.Run("with the example's", func(t *testing.T) {
		t.Parallel()
		schedule(t, m, w, true).run(t, "check", "--offline").want(t, 0)
	})
}

// Every variable of the example Secret is one that the configuration needs.
func TestSecretIsNeeded(t *testing.T) {
	t.Parallel()
	m := load(t)
	for name := range m.secrets["mixsync"].StringData {
		if !strings.Contains(m.configMaps["mixsync"].Data["mixsync.yaml"], "${"+name+"}") {
			t.Errorf("%s: the configuration does not name it", name)
		}
	}
}

// The arguments are the binary's: with nobody there to answer, a run gets as far as
// asking the warehouse, and says so by its exit code.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	m := load(t)
	want := map[string]int{"cronjob.yaml": 3, "resync-job.yaml": 3, "status-job.yaml": 0}
	for _, w := range m.workloads {
		file := filepath.Base(w.file)
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			code, known := want[file]
			if !known {
				t.Fatal("how should it end?")
			}
			p := schedule(t, m, w, true)
			p.env["SHOP_DSN"] = "postgres://mixsync:dsn-pass-7f2a@127.0.0.1:1/shop?sslmode=disable"
			r := p.run(t, p.args...)
			r.want(t, code)
			if strings.Contains(r.stdout+r.stderr, "dsn-pass-7f2a") {
				t.Errorf("the log holds the password:\n%s%s", r.stdout, r.stderr)
			}
			if code == 3 && !strings.Contains(r.stdout+r.stderr, "127.0.0.1:1") {
				t.Errorf("it does not say what it could not reach:\n%s%s", r.stdout, r.stderr)
			}
			state := p.moved.Replace("/var/lib/mixsync/state.db")
			if _, err := os.Stat(state); code == 3 && err != nil {
				t.Errorf("the state is not on its volume: %v", err)
			}
			p.run(t, append(slices.Clone(p.args), "--no-such-flag")...).want(t, 2)
		})
	}
}

// A state that would be lost with its pod is refused, before anything is read or
// sent.
func TestStateOnNoVolume(t *testing.T) {
	t.Parallel()
	m := load(t)
	w := m.workloads[slices.IndexFunc(m.workloads, func(w workload) bool { return filepath.Base(w.file) == "cronjob.yaml" })]
	inPod := func(t *testing.T) *pod {
		p := schedule(t, m, w, true)
		p.env["SHOP_DSN"] = "postgres://mixsync@127.0.0.1:1/shop?sslmode=disable"
		p.env["KUBERNETES_SERVICE_HOST"] = "10.96.0.1"
		return p
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		// Beneath / itself, where nothing is mounted on any machine.
		const folder = "/no-volume-of-mixsync"
		p := inPod(t)
		p.env["MIXSYNC_STATE"] = "sqlite://" + folder + "/state.db"
		for _, args := range [][]string{{"run"}, {"run", "usage", "--resync"}} {
			r := p.run(t, args...)
			r.want(t, 2)
			for _, want := range []string{"on no mounted volume", "hint: ", "--ephemeral-state"} {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("stderr lacks %q:\n%s", want, r.stderr)
				}
			}
		}
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("%s was made", folder)
		}
	})
	t.Run("allowed", func(t *testing.T) {
		t.Parallel()
		p := inPod(t)
		p.run(t, "run", "--ephemeral-state").want(t, 3)
	})
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		p := inPod(t)
		p.env["MIXSYNC_STATE"] = "sqlite::memory:"
		p.run(t, "run").want(t, 2)
		p.run(t, "run", "--ephemeral-state").want(t, 3)
	})
}
