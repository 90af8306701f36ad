package deploy_test

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	jobs := load(t).cronJobs
	if len(jobs) != 1 {
		t.Fatalf("%d CronJobs, want one", len(jobs))
	}
	spec := jobs[0].Spec
	if spec.ConcurrencyPolicy != batchv1.ForbidConcurrent {
		t.Errorf("concurrencyPolicy is %s", spec.ConcurrencyPolicy)
	}
	if spec.TimeZone == nil {
		t.Error("the schedule is in whatever zone the control plane has")
	}
	if spec.StartingDeadlineSeconds == nil || *spec.StartingDeadlineSeconds < 10 {
		t.Error("without startingDeadlineSeconds a CronJob that missed 100 starts never starts again; below 10 it may never start")
	}
}

// What Kubernetes does with an exit code fits what the code means.
func TestFailurePolicy(t *testing.T) {
	t.Parallel()
	const config, unreachable, held, terminated = 2, 3, 4, 143
	for _, w := range load(t).workloads {
		if w.pod.RestartPolicy != corev1.RestartPolicyNever {
			t.Errorf("%s: restartPolicy is %s: a failure policy needs Never", w.file, w.pod.RestartPolicy)
		}
		if w.job.BackoffLimit == nil || w.job.ActiveDeadlineSeconds == nil {
			t.Fatalf("%s: backoffLimit and activeDeadlineSeconds must be set", w.file)
		}
		policy := w.job.PodFailurePolicy
		if policy == nil {
			if *w.job.BackoffLimit != 0 {
				t.Errorf("%s: a fault of the configuration is tried %d times", w.file, *w.job.BackoffLimit+1)
			}
			continue
		}
		var final []int32
		disruptions := false
		for _, rule := range policy.Rules {
			for _, on := range rule.OnPodConditions {
				disruptions = disruptions || rule.Action == batchv1.PodFailurePolicyActionIgnore && on.Type == corev1.DisruptionTarget
			}
			codes := rule.OnExitCodes
			if codes == nil {
				continue
			}
			if codes.ContainerName == nil || *codes.ContainerName != w.container().Name {
				t.Errorf("%s: the failure policy is for another container", w.file)
			}
			if rule.Action != batchv1.PodFailurePolicyActionFailJob || codes.Operator != batchv1.PodFailurePolicyOnExitCodesOpIn {
				t.Errorf("%s: %s %s: exit codes only say when to give up", w.file, rule.Action, codes.Operator)
			}
			final = append(final, codes.Values...)
		}
		if !disruptions {
			t.Errorf("%s: an evicted pod counts as a failure", w.file)
		}
		// Held: the CronJob has its next start; nobody starts a resync again.
		_, scheduled := strings.CutSuffix(w.file, "cronjob.yaml")
		for code, want := range map[int32]bool{config: true, unreachable: false, held: scheduled, terminated: false} {
			if got := slices.Contains(final, code); got != want {
				t.Errorf("%s: exit code %d ends the Job: %v, want %v", w.file, code, got, want)
			}
		}
	}
}

// The pods meet the "restricted" Pod Security Standard, and more.
func TestPodsAreConfined(t *testing.T) {
	t.Parallel()
	isTrue := func(b *bool) bool { return b != nil && *b }
	isFalse := func(b *bool) bool { return b != nil && !*b }
	_, image := dockerfile(t)
	for _, w := range load(t).workloads {
		pod, c := w.pod.SecurityContext, w.container()
		if pod == nil || c.SecurityContext == nil || c.SecurityContext.Capabilities == nil {
			t.Fatalf("%s: a securityContext is missing", w.file)
		}
		for what, ok := range map[string]bool{
			"runAsNonRoot":                          isTrue(pod.RunAsNonRoot),
			"the image's user":                      pod.RunAsUser != nil && pod.RunAsGroup != nil && image.last(t, "USER") == "65532:65532" && *pod.RunAsUser == 65532 && *pod.RunAsGroup == 65532,
			"fsGroup, or the volume is root's":      pod.FSGroup != nil && *pod.FSGroup == 65532,
			"seccomp RuntimeDefault":                pod.SeccompProfile != nil && pod.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"readOnlyRootFilesystem":                isTrue(c.SecurityContext.ReadOnlyRootFilesystem),
			"no allowPrivilegeEscalation":           isFalse(c.SecurityContext.AllowPrivilegeEscalation),
			"drop ALL":                              slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}),
			"no capability added":                   len(c.SecurityContext.Capabilities.Add) == 0,
			"no service account token":              isFalse(w.pod.AutomountServiceAccountToken),
			"no service links":                      isFalse(w.pod.EnableServiceLinks),
			"requests":                              !c.Resources.Requests.Cpu().IsZero() && !c.Resources.Requests.Memory().IsZero(),
			"a memory limit":                        !c.Resources.Limits.Memory().IsZero(),
			"an image with a tag that is no moment": strings.Contains(path.Base(c.Image), ":") && !strings.HasSuffix(c.Image, ":latest"),
			"the image's own command":               len(c.Command) == 0,
		} {
			if !ok {
				t.Errorf("%s: want %s", w.file, what)
			}
		}
		// A stopped run drains for 20 s and then has to save.
		if s := w.pod.TerminationGracePeriodSeconds; s == nil || time.Duration(*s)*time.Second < 30*time.Second {
			t.Errorf("%s: terminationGracePeriodSeconds is too short for a run to end well", w.file)
		}
	}
}

// What mixsync writes lies where it can be written and, for the state, where it
// stays: its path lies on a claim, the others on something writable.
func TestWritablePaths(t *testing.T) {
	t.Parallel()
	_, image := dockerfile(t)
	for _, w := range load(t).workloads {
		env := image.environment()
		for _, v := range w.container().Env {
			env[v.Name] = v.Value
		}
		state, ok := strings.CutPrefix(env["MIXSYNC_STATE"], "sqlite://")
		if !ok {
			t.Fatalf("%s: MIXSYNC_STATE is %q, want an absolute SQLite path", w.file, env["MIXSYNC_STATE"])
		}
		for what, at := range map[string]string{"the state": state, "the working folder": image.last(t, "WORKDIR")} {
			if v := w.volumeAt(at); v == nil || v.PersistentVolumeClaim == nil {
				t.Errorf("%s: %s, %s, is on no claim", w.file, what, at)
			}
		}
		for _, name := range []string{"HOME", "TMPDIR"} {
			if v := w.volumeAt(env[name]); v == nil || v.EmptyDir == nil {
				t.Errorf("%s: %s=%s cannot be written", w.file, name, env[name])
			}
		}
		if v := w.volumeAt(env["MIXSYNC_CONFIG"]); v == nil || v.ConfigMap == nil {
			t.Errorf("%s: MIXSYNC_CONFIG=%s is in no ConfigMap", w.file, env["MIXSYNC_CONFIG"])
		}
	}
}

// volumeAt returns the volume that a path of the container lies on, nil if none.
func (w workload) volumeAt(file string) *corev1.Volume {
	for _, mount := range w.container().VolumeMounts {
		if file == mount.MountPath || strings.HasPrefix(file, mount.MountPath+"/") {
			for i, v := range w.pod.Volumes {
				if v.Name == mount.Name {
					return &w.pod.Volumes[i]
				}
			}
		}
	}
	return nil
}
