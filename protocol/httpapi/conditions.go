package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stated/stated/protocol"
)

// tags is what a header If-Match or If-None-Match says (RFC 9110, section 13.1).
type tags struct {
	given  bool
	any    bool    // *
	strong []int64 // revisions
	weak   []int64 // those with W/ in front
	others int     // tags that are no revision, so that no agent has them
}

// etag is the tag of a revision.
func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

func (x *exchange) tags(header string) (t tags, err error) {
	lines := x.r.Header.Values(header)
	if len(lines) == 0 {
		return t, nil
	}
	t.given = true
	text := strings.Trim(strings.Join(lines, ","), " \t")
	if text == "*" {
		t.any = true
		return t, nil
	}
	wrong := protocol.Errorf(protocol.CodeInvalid, `%s is %.100q: want revisions in quotes, such as "17" or "17", "18", or *`, header, text)
	for text != "" {
		var ok bool
		if text, ok = t.next(text); !ok {
			return t, wrong
		}
	}
	if len(t.strong)+len(t.weak)+t.others == 0 {
		return t, wrong
	}
	return t, nil
}

// next takes one tag, and the comma and blanks behind it, from the text. A list may have empty elements.
func (t *tags) next(text string) (rest string, ok bool) {
	if after, empty := strings.CutPrefix(text, ","); empty {
		return strings.TrimLeft(after, " \t"), true
	}
	opaque, weak := strings.CutPrefix(text, "W/")
	opaque, ok = strings.CutPrefix(opaque, `"`)
	if !ok {
		return "", false
	}
	opaque, rest, ok = strings.Cut(opaque, `"`)
	rest = strings.TrimLeft(rest, " \t")
	if !ok || rest != "" && rest[0] != ',' {
		return "", false
	}
	switch n, err := strconv.ParseInt(opaque, 10, 64); {
	case err != nil || n < 1 || strconv.FormatInt(n, 10) != opaque:
		t.others++
	case weak:
		t.weak = append(t.weak, n)
	default:
		t.strong = append(t.strong, n)
	}
	return rest, true
}

// sameAs reports whether an agent of this revision has one of the tags; weak ones count if they may. 0 is no agent.
func (t *tags) sameAs(revision int64, weak bool) bool {
	return revision != 0 && (t.any || slices.Contains(t.strong, revision) || weak && slices.Contains(t.weak, revision))
}

// condition is what the headers want to hold for a change of the agent.
func (x *exchange) condition() (protocol.Condition, error) {
	var none protocol.Condition
	match, err := x.tags("If-Match")
	if err != nil {
		return none, err
	}
	noneMatch, err := x.tags("If-None-Match")
	switch {
	case err != nil:
		return none, err
	case match.given && noneMatch.given:
		return none, protocol.Errorf(protocol.CodeInvalid, "If-Match and If-None-Match are given: want one of them")
	case noneMatch.given && !noneMatch.any:
		return none, protocol.Errorf(protocol.CodeInvalid, "If-None-Match has tags: a change takes only *, for an agent that does not exist")
	case noneMatch.given:
		return protocol.IfAbsent(), nil
	case !match.given && x.r.Header.Get("If-Unmodified-Since") != "":
		return none, protocol.Errorf(protocol.CodeInvalid, "If-Unmodified-Since is given: a second is too long to tell changes apart, so use If-Match")
	case !match.given:
		return none, nil
	case match.any:
		return protocol.IfExists(), nil
	case len(match.strong) == 1:
		return protocol.IfRevision(match.strong[0]), nil
	}
	return x.oneOf(&match)
}

// oneOf is the condition of several revisions, or of none that can be: the current one, if it is among them. Should it
// change before the write, the write fails, and would have failed.
func (x *exchange) oneOf(match *tags) (none protocol.Condition, err error) {
	current, err := x.currentRevision()
	if err != nil {
		return none, err
	}
	if match.sameAs(current, false) {
		return protocol.IfRevision(current), nil
	}
	return none, x.conflict(current, "If-Match")
}

// currentRevision gives the revision of the agent, 0 when there is none.
func (x *exchange) currentRevision() (int64, error) {
	op, err := protocol.Stat(x.agent)
	reply, err := x.do(op, err)
	if errors.Is(err, protocol.CodeNotFound) {
		return 0, nil
	}
	return reply.Revision, err
}

func (x *exchange) conflict(current int64, header string) error {
	have := "does not exist"
	if current != 0 {
		have = "has revision " + strconv.FormatInt(current, 10)
	}
	return protocol.Errorf(protocol.CodeConflict, "agent %q %s, which is not what %s asks for", x.agent, have, header).
		With(protocol.FactCurrentRevision, strconv.FormatInt(current, 10))
}

// unchanged answers a client that has the state already: 304, and done is true. Otherwise the state is to be read, and
// to be sent if its revision is in match: it may be another one than that which was looked at here.
func (x *exchange) unchanged() (match tags, done bool, err error) {
	if match, err = x.tags("If-Match"); err != nil {
		return match, false, err
	}
	noneMatch, err := x.tags("If-None-Match")
	if err != nil || !noneMatch.given {
		return match, false, err
	}
	current, err := x.currentRevision()
	switch {
	case err != nil:
		return match, false, err
	case match.given && !match.sameAs(current, false):
		return match, false, x.conflict(current, "If-Match")
	case !noneMatch.sameAs(current, true):
		return match, false, nil
	}
	x.set("Etag", etag(current))
	x.set("Cache-Control", "no-cache")
	return match, true, x.reply(http.StatusNotModified, "", nil)
}
