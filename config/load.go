package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

const (
	defaultOrigin = "default"
	envPrefix     = "STATED_"
)

// reserved are the variables that the command line itself reads.
var reserved = []string{"STATED_ADDR", "STATED_CONFIG", "STATED_TOKEN"}

// serviceLinks matches what Kubernetes puts into every pod of a namespace that has a service named stated: a
// daemon that refused to start for that would be hard to understand.
var serviceLinks = regexp.MustCompile(
	`^STATED_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=\w+://|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?=)`)

// Source says what a configuration is read from.
type Source struct {
	File    string    // path of a YAML file; empty = none
	Environ []string  // as os.Environ gives it
	Set     []Setting // flags in order; the later wins
}

// Setting is one key that was set on the command line.
type Setting struct {
	Key, Value string
	Origin     string // the flag, such as --db or --set
}

// Loaded is a configuration and where each of its values came from.
type Loaded struct {
	Config
	values *koanf.Koanf
	from   map[string]origin
}

// origin is where a value came from. The line is 0 where there is none to show.
type origin struct {
	name string
	line int
}

func (o origin) String() string {
	if o.line == 0 || o.name == defaultOrigin {
		return o.name
	}
	return fmt.Sprintf("%s, line %d", o.name, o.line)
}

// Load reads and validates a configuration. It returns [Problems], all of them, unless every layer is good and the
// whole is consistent.
func Load(src Source) (*Loaded, error) {
	l := newLoader()
	l.yaml(defaultOrigin, defaultYAML)
	if src.File != "" {
		if data, err := os.ReadFile(src.File); err != nil {
			l.problem("", origin{name: "file " + src.File}, "cannot be read: %v", reason(err))
		} else {
			l.yaml("file "+src.File, data)
		}
	}
	l.environ(src.Environ)
	l.flags(src.Set)
	return l.finish()
}

// Values gives every key in the order of config.yaml, as the layers set it.
func (l *Loaded) Values() []Value {
	var all []Value
	for _, f := range fields() {
		all = append(all, Value{f.key, encode(f.kind, l.values.Get(f.key)), l.from[f.key].name})
	}
	return all
}

// loader gathers the layers and what is wrong with them.
type loader struct {
	kinds    map[string]kind // of each key
	values   *koanf.Koanf
	from     map[string]origin
	bad      map[string]bool // keys whose value is missing or wrong, so that no rule is tried on them
	problems Problems
}

func newLoader() *loader {
	l := &loader{
		kinds: map[string]kind{}, values: koanf.New("."),
		from: map[string]origin{}, bad: map[string]bool{},
	}
	for _, f := range fields() {
		l.kinds[f.key] = f.kind
	}
	return l
}

// problem reports a value that is wrong by itself.
func (l *loader) problem(key string, from origin, format string, args ...any) {
	l.bad[key] = true
	l.report(key, from, format, args...)
}

func (l *loader) report(key string, from origin, format string, args ...any) {
	l.problems = append(l.problems, Problem{Key: key, Origin: from.String(), Text: fmt.Sprintf(format, args...)})
}

// put adds a decoded value to a layer, or its error to the problems.
func (l *loader) put(layer map[string]any, key string, from origin, value any, err error) {
	if err != nil {
		l.problem(key, from, "%v", err)
		return
	}
	layer[key] = value
	l.from[key] = from
}

// merge lays a layer over those before. It cannot fail: every key in it is known.
func (l *loader) merge(layer map[string]any) {
	if err := l.values.Load(confmap.Provider(layer, "."), nil); err != nil {
		l.problem("", origin{name: "configuration"}, "%v", err)
	}
}

func (l *loader) yaml(name string, data []byte) {
	layer := map[string]any{}
	l.document(layer, name, data)
	l.merge(layer)
}

func (l *loader) environ(environ []string) {
	keys := map[string]string{}
	for key := range l.kinds {
		keys[envName(key)] = key
	}
	layer := map[string]any{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(reserved, name) || serviceLinks.MatchString(entry) {
			continue
		}
		from := origin{name: "environment " + name}
		key, known := keys[name]
		if !known {
			key = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "__", "."))
			l.unknown(key, from, Keys(), envName)
			continue
		}
		value, err := decodeText(l.kinds[key], text)
		l.put(layer, key, from, value, err)
	}
	l.merge(layer)
}

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

func (l *loader) flags(settings []Setting) {
	layer := map[string]any{}
	for _, s := range settings {
		from := origin{name: "flag " + s.Origin}
		k, known := l.kinds[s.Key]
		if !known {
			l.unknown(s.Key, from, Keys(), strings.Clone)
			continue
		}
		value, err := decodeText(k, s.Value)
		if k == kindTokens && err == nil {
			err = refuseSecrets(value.([]Token))
		}
		l.put(layer, s.Key, from, value, err)
	}
	l.merge(layer)
}

// unknown reports a key that does not exist, and names the nearest one as its layer spells it.
func (l *loader) unknown(key string, from origin, candidates []string, spell func(string) string) {
	hint := ""
	if near := nearest(key, candidates); near != "" {
		hint = fmt.Sprintf(": did you mean %s?", spell(near))
	}
	l.problem(key, from, "no such key%s", hint)
}

// finish turns the layers into a configuration and validates it.
func (l *loader) finish() (*Loaded, error) {
	loaded := &Loaded{values: l.values, from: l.from}
	if err := l.values.Unmarshal("", &loaded.Config); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if !l.bad[""] { // else a whole file is missing, and what its keys say of each other is moot
		l.validate(&loaded.Config)
	}
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return loaded, nil
}

// reason gives an error of the os package without the operation and the path, which the message has already.
func reason(err error) error {
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}
