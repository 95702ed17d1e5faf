package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Value is a key, what it is set to, and by what.
type Value struct {
	Key string
	// Value is an int64, a float64, a string or a []string. Sizes and durations are strings: 64MiB, 4s. A token is a
	// string that says its name, role and file, or that its secret is hidden.
	Value any
	// Origin is "default", "file PATH", "environment NAME" or "flag NAME".
	Origin string
}

// String gives the value in the form that --set and the environment take.
func (v Value) String() string {
	items, ok := v.Value.([]string)
	if !ok {
		return fmt.Sprint(v.Value)
	}
	if len(items) == 0 {
		return ""
	}
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = strconv.Quote(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// decode gives v, which is what YAML makes of a value, as the kind of value that its key has.
func decode(k kind, v any) (any, error) {
	if v == nil {
		return nil, errors.New("has no value: give one, or remove the key to have its default")
	}
	text, isText := v.(string)
	switch k {
	case kindText:
		if !isText {
			return nil, fmt.Errorf("%v is not a text: put it in quotes if it is what you mean", v)
		}
		return text, nil
	case kindList:
		return decodeList(v)
	case kindTokens:
		return parseTokens(v)
	case kindCount:
		if n, ok := whole(v); ok {
			return n, nil
		}
		return nil, fmt.Errorf("%s is not a whole number, or is out of range", show(v))
	case kindSize:
		if isText {
			return ParseSize(text)
		}
		if n, ok := whole(v); ok {
			return n, nil
		}
		return nil, sizeError(v)
	case kindFraction:
		if f, ok := number(v); ok {
			return f, nil
		}
		return nil, fmt.Errorf("%s is not a number", show(v))
	default:
		return decodeDuration(v)
	}
}

// decodeText is decode for a value from the environment or a flag, where nothing but the key tells its type.
func decodeText(k kind, text string) (any, error) {
	if k != kindCount && k != kindFraction {
		return decode(k, text)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return decode(k, n)
	}
	if f, ok := parseDecimal(text); ok {
		return decode(k, f)
	}
	return decode(k, text)
}

// encode is the reverse of decode, for people to read.
func encode(k kind, v any) any {
	switch v := v.(type) {
	case int64:
		if k == kindSize {
			return formatSize(v)
		}
	case time.Duration:
		return v.String()
	case []Token:
		return showTokens(v)
	}
	return v
}

func show(v any) string {
	if text, ok := v.(string); ok {
		return strconv.Quote(text)
	}
	return fmt.Sprint(v)
}

// number takes every number that YAML knows, except NaN and the infinite ones.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	default:
		return 0, false
	}
}

// whole takes whole numbers, also those that are written with an exponent or as 4.0.
func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case float64:
		const exact = 1 << 53 // every whole number up to here is a float64
		return int64(n), n == math.Trunc(n) && math.Abs(n) <= exact
	default:
		return 0, false
	}
}

var decimalForm = regexp.MustCompile(`^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$`)

func parseDecimal(text string) (float64, bool) {
	if !decimalForm.MatchString(text) {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// decodeDuration takes a number of seconds, also as a text, or a Go duration.
func decodeDuration(v any) (time.Duration, error) {
	wrong := fmt.Errorf("%s is not a duration: want a number of seconds, or a text such as 4s, 100ms, 1m30s", show(v))
	seconds, ok := number(v)
	if text, isText := v.(string); isText {
		if d, err := time.ParseDuration(text); err == nil {
			return d, nil
		}
		seconds, ok = parseDecimal(text)
	}
	nanos := math.Round(seconds * float64(time.Second))
	if !ok || math.Abs(nanos) >= math.MaxInt64 {
		return 0, wrong
	}
	return time.Duration(nanos), nil
}

var (
	sizeForm  = regexp.MustCompile(`^(\d+) ?([A-Za-z]*)$`)
	sizeUnits = map[string]int64{
		"": 1, "B": 1,
		"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}
)

// ParseSize takes a number of bytes, or a whole number and a unit. Units are exact: what 64M or 64mb mean is a
// matter of opinion.
func ParseSize(text string) (int64, error) {
	parts := sizeForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, sizeError(text)
	}
	unit, ok := sizeUnits[parts[2]]
	if !ok {
		return 0, sizeError(text)
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return n * unit, nil
}

func sizeError(v any) error {
	return fmt.Errorf("%s is not a size: want a number of bytes, or a whole number with a unit "+
		"(B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), such as 64MiB", show(v))
}

// formatSize gives the shortest form of a size that ParseSize takes without loss.
func formatSize(n int64) string {
	units := []string{"TiB", "GiB", "MiB", "KiB"}
	for _, unit := range units {
		if size := sizeUnits[unit]; n != 0 && n%size == 0 {
			return strconv.FormatInt(n/size, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

// decodeList takes a list of texts, or one text with commas. A text in brackets is a list in YAML: it is how an
// item with a comma is given in the environment. An IPv6 address begins with a bracket too, but ends in its port.
func decodeList(v any) ([]string, error) {
	wrong := fmt.Errorf("%s is not a text or a list of texts", show(v))
	if text, ok := v.(string); ok {
		text = strings.TrimSpace(text)
		if text == "" {
			return []string{}, nil
		}
		if !strings.HasPrefix(text, "[") || !strings.HasSuffix(text, "]") {
			return cleanList(strings.Split(text, ","))
		}
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			return nil, wrong
		}
	}
	items, ok := v.([]any)
	if !ok {
		return nil, wrong
	}
	texts := make([]string, len(items))
	for i := range items {
		if texts[i], ok = items[i].(string); !ok {
			return nil, fmt.Errorf("%v in the list is not a text", items[i])
		}
	}
	return cleanList(texts)
}

func cleanList(items []string) ([]string, error) {
	for i := range items {
		if items[i] = strings.TrimSpace(items[i]); items[i] == "" {
			return nil, errors.New("an item of the list is empty")
		}
	}
	return items, nil
}
