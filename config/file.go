package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document adds the keys of a YAML document to a layer. It walks the nodes itself, since only they know the lines
// and the keys that are given twice.
func (l *loader) document(layer map[string]any, name string, data []byte) {
	from := origin{name: name}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return // nothing but comments
	case err != nil:
		l.problem("", from, "is not YAML: %s", syntaxText(err))
		return
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		l.problem("", from, "has more than one YAML document, or something behind it that is not YAML")
		return
	}
	root := resolve(doc.Content[0])
	if isNull(root) {
		return
	}
	from.line = root.Line
	if root.Kind != yaml.MappingNode {
		l.problem("", from, "has no keys: want keys such as %s: with others below them", strings.Join(groups(), ", "))
		return
	}
	l.mapping(layer, name, "", root)
}

// mapping adds the keys of the root, or of a group in it. It recurses no deeper than there are groups in groups.
func (l *loader) mapping(layer map[string]any, name, group string, node *yaml.Node) {
	first := map[string]int{} // line of each key
	for i := 0; i+1 < len(node.Content); i += 2 {
		short, value := resolve(node.Content[i]), resolve(node.Content[i+1])
		key := strings.TrimPrefix(group+"."+short.Value, ".")
		from := origin{name, node.Content[i].Line}
		if line, twice := first[short.Value]; twice {
			l.problem(key, from, "is given twice, first in line %d", line)
			continue
		}
		first[short.Value] = from.line
		k, known := l.kinds[key]
		switch {
		case short.Value == "": // empty, or a list or a mapping in the place of a key
			l.problem(group, from, "has a key that is not a text")
		case strings.Contains(short.Value, "."):
			l.problem(key, from, "no such key: a dot stands for a level, so write the group, and the key below it")
		case known:
			v, err := valueOf(k, value)
			l.put(layer, key, from, v, err)
		case isGroup(key):
			l.group(layer, from, key, value)
		case group == "":
			l.unknown(key, from, append(groups(), Keys()...), strings.Clone)
		default:
			l.unknown(key, from, Keys(), strings.Clone)
		}
	}
}

// group adds the keys of a group. One without a value is empty: all that was in it may be commented out.
func (l *loader) group(layer map[string]any, from origin, key string, node *yaml.Node) {
	switch {
	case isNull(node):
	case node.Kind == yaml.MappingNode:
		l.mapping(layer, from.name, key, node)
	default:
		l.problem(key, from, "is a group and cannot have a value: want keys below it")
		for other := range l.kinds {
			l.bad[other] = l.bad[other] || strings.HasPrefix(other, key+".")
		}
	}
}

// valueOf gives what a node says as the kind of value that its key has.
func valueOf(k kind, node *yaml.Node) (any, error) {
	if k == kindTokens && !isNull(node) {
		return decodeTokens(node)
	}
	v, err := scalars(node)
	if err != nil {
		return nil, err
	}
	return decode(k, v)
}

// unknownAnchor is how the YAML package quotes a value that begins with a star.
var unknownAnchor = regexp.MustCompile(`unknown anchor '.*' referenced`)

// syntaxText gives an error of the YAML package without a word of the values, one of which may be a secret.
func syntaxText(err error) string {
	return unknownAnchor.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "),
		"a value begins with a star, which has a meaning in YAML: put it in quotes")
}

// scalars gives the value of a node that is a scalar or a list.
func scalars(node *yaml.Node) (any, error) {
	if node.Kind == yaml.MappingNode {
		return nil, errors.New("cannot have keys below it: want a value")
	}
	var v any
	if err := node.Decode(&v); err != nil {
		return nil, errors.New(syntaxText(err))
	}
	return v, nil
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}
