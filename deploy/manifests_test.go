package deploy_test

import (
	"bytes"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
)

// manifests are the decoded files of k8s/, by kind.
type manifests struct {
	cronJobs   []*batchv1.CronJob
	workloads  []workload // in the order of their files
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
	claims     map[string]*corev1.PersistentVolumeClaim
}

// workload is a Job, or the Job that a CronJob makes.
type workload struct {
	file string
	job  batchv1.JobSpec
	pod  corev1.PodSpec
}

// container returns the only one of the pod.
func (w workload) container() corev1.Container { return w.pod.Containers[0] }

const kustomization = "kustomization.yaml"

func manifestFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("k8s/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("k8s/: %d files, %v", len(files), err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return path.Base(file) == kustomization })
}

// load decodes every manifest as an API server does: unknown, misspelt and
// repeated fields are errors.
func load(t *testing.T) manifests {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{batchv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	m := manifests{configMaps: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{}, claims: map[string]*corev1.PersistentVolumeClaim{}}
	for _, file := range manifestFiles(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("\n---")) {
			t.Fatalf("%s: one document per file", file)
		}
		object, _, err := decoder.Decode(data, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := object.(metav1.Object).GetName()
		if faults := validation.IsDNS1123Subdomain(name); len(faults) > 0 {
			t.Fatalf("%s: name %q: %v", file, name, faults)
		}
		switch object := object.(type) {
		case *batchv1.CronJob:
			m.cronJobs = append(m.cronJobs, object)
			job := object.Spec.JobTemplate.Spec
			m.workloads = append(m.workloads, workload{file, job, job.Template.Spec})
		case *batchv1.Job:
			m.workloads = append(m.workloads, workload{file, object.Spec, object.Spec.Template.Spec})
		case *corev1.ConfigMap:
			m.configMaps[name] = object
		case *corev1.Secret:
			m.secrets[name] = object
		case *corev1.PersistentVolumeClaim:
			m.claims[name] = object
		default:
			t.Fatalf("%s: what is a %T for?", file, object)
		}
	}
	for _, w := range m.workloads {
		if len(w.pod.Containers) != 1 || len(w.pod.InitContainers) > 0 {
			t.Fatalf("%s: one container does it all", w.file)
		}
	}
	return m
}

// Applying the folder must neither start an on-demand Job nor overwrite a Secret
// with a placeholder, and it must apply all else.
func TestKustomization(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("k8s", kustomization))
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       string   `yaml:"kind"`
		Resources  []string `yaml:"resources"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&k); err != nil {
		t.Fatal(err)
	}
	if k.APIVersion != "kustomize.config.k8s.io/v1beta1" || k.Kind != "Kustomization" {
		t.Errorf("%s %s is not what kubectl apply -k reads", k.APIVersion, k.Kind)
	}
	var want []string
	for _, file := range manifestFiles(t) {
		if base := path.Base(file); base != "secret.example.yaml" && (base == "cronjob.yaml" || !strings.HasSuffix(base, "job.yaml")) {
			want = append(want, base)
		}
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(k.Resources))); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

// What a pod names exists among the manifests, and what it mounts it has.
func TestReferences(t *testing.T) {
	t.Parallel()
	m := load(t)
	usedClaims, usedMaps, usedSecrets := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, w := range m.workloads {
		volumes := map[string]bool{}
		for _, v := range w.pod.Volumes {
			volumes[v.Name] = true
			switch {
			case v.PersistentVolumeClaim != nil:
				if usedClaims[v.PersistentVolumeClaim.ClaimName] = true; m.claims[v.PersistentVolumeClaim.ClaimName] == nil {
					t.Errorf("%s: volume %s: there is no claim %q", w.file, v.Name, v.PersistentVolumeClaim.ClaimName)
				}
			case v.ConfigMap != nil:
				if usedMaps[v.ConfigMap.Name] = true; m.configMaps[v.ConfigMap.Name] == nil {
					t.Errorf("%s: volume %s: there is no ConfigMap %q", w.file, v.Name, v.ConfigMap.Name)
				}
			case v.Secret != nil:
				if usedSecrets[v.Secret.SecretName] = true; m.secrets[v.Secret.SecretName] == nil && (v.Secret.Optional == nil || !*v.Secret.Optional) {
					t.Errorf("%s: volume %s: there is no Secret %q, and it is not optional", w.file, v.Name, v.Secret.SecretName)
				}
			case v.EmptyDir != nil:
				if v.EmptyDir.SizeLimit == nil {
					t.Errorf("%s: volume %s can fill the node's disk", w.file, v.Name)
				}
			default:
				t.Errorf("%s: volume %s: what is it?", w.file, v.Name)
			}
		}
		for _, mount := range w.container().VolumeMounts {
			if !volumes[mount.Name] {
				t.Errorf("%s: there is no volume %q to mount at %s", w.file, mount.Name, mount.MountPath)
			}
			delete(volumes, mount.Name)
		}
		if len(volumes) > 0 {
			t.Errorf("%s: volumes %v are mounted nowhere", w.file, slices.Sorted(maps.Keys(volumes)))
		}
		for _, from := range w.container().EnvFrom {
			if from.SecretRef == nil {
				t.Errorf("%s: envFrom names no Secret", w.file)
			} else if usedSecrets[from.SecretRef.Name] = true; m.secrets[from.SecretRef.Name] == nil {
				t.Errorf("%s: envFrom: there is no Secret %q", w.file, from.SecretRef.Name)
			}
		}
	}
	for name := range m.claims {
		if !usedClaims[name] {
			t.Errorf("nobody uses the claim %q", name)
		}
	}
	for name := range m.configMaps {
		if !usedMaps[name] {
			t.Errorf("nobody uses the ConfigMap %q", name)
		}
	}
	for name := range m.secrets {
		if !usedSecrets[name] {
			t.Errorf("nobody uses the Secret %q", name)
		}
	}
}

// All workloads are the same pod, but for what it is told to do: a resync that sees
// another state or other credentials than the runs would be worse than none.
func TestWorkloadsDifferInTheirArgumentsOnly(t *testing.T) {
	t.Parallel()
	workloads := load(t).workloads
	pod := func(w workload) corev1.PodSpec {
		pod := *w.pod.DeepCopy()
		pod.Containers[0].Args = nil
		return pod
	}
	for _, w := range workloads[1:] {
		if diff := cmp.Diff(pod(workloads[0]), pod(w)); diff != "" {
			t.Errorf("%s (-) and %s (+):\n%s", workloads[0].file, w.file, diff)
		}
	}
}
