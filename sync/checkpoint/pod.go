package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// checkPod refuses a state that would vanish with the Kubernetes pod: the next
// pod would start from the beginning and send everything again.
func checkPod(path string) error {
	if os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return nil
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if errors.Is(err, os.ErrNotExist) {
		return nil // not Linux: there is no telling
	}
	if err == nil && path != "" && onVolume(path, string(mounts)) {
		return nil
	}
	if err == nil {
		err = errors.New("it is on no mounted volume, or on an emptyDir, and would be lost with this pod")
	}
	return &Error{Kind: KindVolatile, Path: path,
		Hint: "mount a persistent volume and put the state there, or pass --ephemeral-state if losing it is fine",
		Err:  fmt.Errorf("refused: %w", err)}
}

// onVolume reports whether an absolute path, links resolved, lies on something
// mounted into the container that outlives it: neither its root, nor the
// system's own mounts, nor an emptyDir, which ends with the pod. mounts is the
// text of /proc/self/mountinfo.
func onVolume(path, mounts string) bool {
	on, empty := "", false
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if dir := unescapeMount(f[4]); len(dir) >= len(on) && within(path, dir) {
			on, empty = dir, emptyDir(f)
		}
	}
	for _, system := range []string{"/dev", "/proc", "/sys"} {
		if within(on, system) {
			return false
		}
	}
	return on != "" && on != "/" && !empty
}

// emptyDir reports whether a line of mountinfo is a Kubernetes emptyDir, which
// the node keeps in a folder named so. (One in memory looks like any tmpfs.)
func emptyDir(fields []string) bool { return strings.Contains(fields[3], "/kubernetes.io~empty-dir/") }

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// unescapeMount decodes the octal escapes of mountinfo: "\040" is a space.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
