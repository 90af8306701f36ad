package configs_test

import (
	"os"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/configs"
)

// FuzzParse holds the loader to: a File or an Error, never a panic; every fault
// in the file; what was understood can be printed and understood again.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"testdata", "examples"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".yaml") {
				text, err := os.ReadFile(dir + "/" + e.Name())
				if err != nil {
					f.Fatal(err)
				}
				f.Add(string(text), len(text)%2 == 0)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string, allowUnset bool) {
		o := options()
		o.AllowUnset = allowUnset
		file, err := configs.Parse("mixsync.yaml", []byte(text), o)
		if (file == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v: want exactly one", file, err)
		}
		if err != nil {
			_, e := parse(text, o)
			if e == nil || len(e.Faults) == 0 {
				t.Fatalf("an error without faults: %v", err)
			}
			for _, x := range e.Faults {
				if x.Line < 1 || x.Col < 1 || x.Message == "" {
					t.Errorf("fault without place or message: %+v", x)
				}
			}
			return
		}
		printed, err := file.Effective()
		if err != nil {
			t.Fatalf("Effective: %v", err)
		}
		if _, err := configs.Parse("effective.yaml", printed, o); err != nil {
			t.Fatalf("the printed form does not load:\n%v\n%s", err, printed)
		}
		if _, err := file.EffectiveJSON(); err != nil {
			t.Fatalf("EffectiveJSON: %v", err)
		}
	})
}
