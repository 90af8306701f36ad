package configs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Options says where references get their values. The zero value reads the
// process's environment and the file system.
type Options struct {
	Getenv   func(string) (string, bool)
	ReadFile func(string) ([]byte, error) // for ${file:…}
	// AllowUnset lets references without a value pass: a placeholder stands in,
	// and checks that need the value are skipped.
	AllowUnset bool
}

// Load reads a file, or all *.yaml and *.yml files of a folder as if they were
// one. The error is always an *Error and holds everything that is wrong.
func Load(path string, o Options) (*File, error) {
	sources, err := read(path)
	if err != nil {
		return nil, newError([]Fault{{Position: Position{File: path}, Message: fmt.Sprintf("cannot be read: %v", bare(err)),
			Hint: "name the file or folder with --config"}})
	}
	if len(sources) == 0 {
		return nil, newError([]Fault{{Position: Position{File: path}, Message: "the folder holds no *.yaml file",
			Hint: "name a folder with the configuration, or a file, with --config"}})
	}
	return parse(sources, o)
}

// Stamp identifies the text of a file or folder: another one means that Load may
// give something else. What ${…} stands for is not in it.
func Stamp(path string) (string, error) {
	sources, err := read(path)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, s := range sources {
		fmt.Fprintf(sum, "%q %d\n", s.name, len(s.data))
		sum.Write(s.data)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Parse is Load of YAML that is in memory. The name stands in positions, and
// relative paths of ${file:…} begin at its folder.
func Parse(name string, data []byte, o Options) (*File, error) {
	return parse([]sourceFile{{name, data}}, o)
}

type sourceFile struct {
	name string
	data []byte
}

// read returns the files in the order of their names. Hidden files are left out:
// in a mounted ConfigMap they are the mount's own.
func read(path string) ([]sourceFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	names := []string{path}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		names = names[:0]
		for _, e := range entries {
			ext := filepath.Ext(e.Name())
			if (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") && e.Type()&fs.ModeDir == 0 {
				names = append(names, filepath.Join(path, e.Name()))
			}
		}
	}
	sources := make([]sourceFile, len(names))
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sources[i] = sourceFile{name, data}
	}
	return sources, nil
}

func parse(sources []sourceFile, o Options) (*File, error) {
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	d := newDecoder(o)
	f := &File{
		Warehouses: map[string]*Warehouse{},
		Projects:   map[string]*Project{},
		defaults:   Sync{},
	}
	broken := false
	for _, src := range sources {
		n, fault := document(src)
		switch {
		case fault != nil:
			d.faults = append(d.faults, *fault)
			broken = true
		case n != nil:
			root := d.root(src.name, n)
			if entries, ok := d.entries(root); ok {
				fileObject.read(d, entries, f)
			}
		}
	}
	if !broken { // else what seems to be missing may stand in the unreadable file
		top := Position{File: sources[0].name, Line: 1, Col: 1}
		if pos, ok := d.where[""]; ok {
			top = pos
		} else {
			d.where[""] = top
		}
		fileObject.require(d, node{pos: top})
		f.applyDefaults(d)
		f.check(d)
	}
	if len(d.faults) > 0 {
		return nil, newError(d.faults)
	}
	f.where, f.open = d.where, d.open
	return f, nil
}

// document parses a file of one YAML document; nil if it is empty.
func document(src sourceFile) (*yaml.Node, *Fault) {
	dec := yaml.NewDecoder(bytes.NewReader(src.data))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		switch err = dec.Decode(&more); {
		case errors.Is(err, io.EOF):
			err = nil
		case err == nil:
			return nil, &Fault{Position: Position{File: src.name, Line: more.Line, Col: max(1, more.Column)},
				Message: "a second YAML document begins here", Hint: "one document per file: put it into a file of its own, and give --config the folder"}
		}
	}
	if err != nil {
		fault := syntaxFault(src, err)
		return nil, &fault
	}
	i := slices.IndexFunc(doc.Content, func(n *yaml.Node) bool { return n != nil })
	if i < 0 {
		return nil, nil
	}
	return doc.Content[i], nil
}
