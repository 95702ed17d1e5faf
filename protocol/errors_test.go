package protocol_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stated/stated/protocol"
)

func TestCode_OutcomeAndRetryable(t *testing.T) {
	const (
		no       = protocol.OutcomeNotApplied
		conflict = protocol.OutcomeConflict
		unknown  = protocol.OutcomeUnknown
	)
	for code, want := range map[protocol.Code]struct {
		outcome   protocol.Outcome
		retryable bool
	}{
		protocol.CodeNotFound: {no, false}, protocol.CodeConflict: {conflict, false}, protocol.CodeInvalid: {no, false},
		protocol.CodeUnauthenticated: {no, false}, protocol.CodeForbidden: {no, false},
		protocol.CodeOverloaded: {no, true}, protocol.CodeLocked: {no, true}, protocol.CodeCanceled: {no, true},
		protocol.CodeUnknown: {unknown, false}, protocol.CodeUnavailable: {no, true},
		protocol.CodeFull: {no, false}, protocol.CodeIO: {no, false}, protocol.CodeCorrupt: {no, false},
		protocol.CodeReadOnly: {no, false}, protocol.CodeInternal: {no, false},
	} {
		if code.Outcome() != want.outcome || code.Retryable() != want.retryable {
			t.Errorf("%s: outcome %s, retryable %v; want %v", code, code.Outcome(), code.Retryable(), want)
		}
	}
}

// TestCodes_AreStable spells the codes out, since clients branch on their text.
func TestCodes_AreStable(t *testing.T) {
	for text, code := range map[string]protocol.Code{
		"NOT_FOUND": protocol.CodeNotFound, "CONFLICT": protocol.CodeConflict, "INVALID": protocol.CodeInvalid,
		"UNAUTHENTICATED": protocol.CodeUnauthenticated, "FORBIDDEN": protocol.CodeForbidden,
		"OVERLOADED": protocol.CodeOverloaded, "LOCKED": protocol.CodeLocked, "CANCELED": protocol.CodeCanceled,
		"UNKNOWN": protocol.CodeUnknown, "UNAVAILABLE": protocol.CodeUnavailable, "FULL": protocol.CodeFull,
		"IO": protocol.CodeIO, "CORRUPT": protocol.CodeCorrupt, "READONLY": protocol.CodeReadOnly,
		"INTERNAL": protocol.CodeInternal,
	} {
		if code.Error() != text {
			t.Errorf("the code %s is spelled %s", text, code.Error())
		}
	}
}

// TestCodes_All holds Codes against the constants in the source.
func TestCodes_All(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []protocol.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && fmt.Sprint(spec.Type) == "Code" && len(spec.Values) == 1 {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			declared = append(declared, protocol.Code(text))
		}
		return true
	})
	if diff := cmp.Diff(declared, protocol.Codes()); diff != "" || len(declared) == 0 {
		t.Errorf("%d are declared (-declared +Codes):\n%s", len(declared), diff)
	}
}

func TestError_IsItsCodeAndItsCause(t *testing.T) {
	err := fmt.Errorf("saving: %w", protocol.Errorf(protocol.CodeIO, "reading: %w", io.ErrUnexpectedEOF))
	if !errors.Is(err, protocol.CodeIO) || errors.Is(err, protocol.CodeFull) {
		t.Errorf("%v is not just IO", err)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v lost its cause", err)
	}
	if got := protocol.CodeOf(err); got != protocol.CodeIO {
		t.Errorf("CodeOf = %q", got)
	}
	if want := "saving: IO: reading: unexpected EOF"; err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
}

func TestError_FactsAndMessage(t *testing.T) {
	base := protocol.Errorf(protocol.CodeLocked, "the file is locked")
	one := base.With(protocol.FactAttempts, "6")
	two := one.With(protocol.FactElapsed, "27.4s")
	other := one.With(protocol.FactElapsed, "1s") // must not write over two's fact
	if want := "LOCKED attempts=6 elapsed=27.4s: the file is locked"; two.Error() != want {
		t.Errorf("Error() = %q, want %q", two, want)
	}
	if got, _ := other.Fact(protocol.FactElapsed); got != "1s" {
		t.Errorf("elapsed = %q, want 1s", got)
	}
	if _, ok := base.Fact(protocol.FactAttempts); ok || len(one.Facts) != 1 {
		t.Errorf("With changed the error it was called on: %v, %v", base, one)
	}
}

func TestError_BecauseHidesTheCause(t *testing.T) {
	plain := protocol.Errorf(protocol.CodeOverloaded, "the mailbox is full")
	err := plain.Because(context.DeadlineExceeded)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, protocol.CodeOverloaded) {
		t.Errorf("%v does not carry code and deadline", err)
	}
	if errors.Is(plain, context.DeadlineExceeded) {
		t.Error("Because changed the error it was called on")
	}
	if want := "OVERLOADED: the mailbox is full"; err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
}

func TestAsError(t *testing.T) {
	invalid := protocol.Errorf(protocol.CodeInvalid, "bad")
	for _, tt := range []struct {
		name string
		err  error
		code protocol.Code
		text string
	}{
		{"one of ours", invalid, protocol.CodeInvalid, "INVALID: bad"},
		{"one of ours inside", fmt.Errorf("x: %w", invalid), protocol.CodeInvalid, "INVALID: bad"},
		{"a deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), protocol.CodeCanceled, "CANCELED: the caller gave up"},
		{"a cancel", context.Canceled, protocol.CodeCanceled, "CANCELED: the caller gave up"},
		{"a stranger", errors.New("secret"), protocol.CodeInternal, "INTERNAL: internal error, see the log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := protocol.AsError(tt.err)
			if e.Code != tt.code || e.Error() != tt.text || protocol.CodeOf(tt.err) != tt.code {
				t.Errorf("AsError = %v, CodeOf = %s; want %s", e, protocol.CodeOf(tt.err), tt.text)
			}
			if tt.code != protocol.CodeInvalid && !errors.Is(e, tt.err) {
				t.Error("the cause is lost for the log")
			}
		})
	}
	if e := protocol.AsError(nil); e != nil || protocol.CodeOf(nil) != "" {
		t.Errorf("AsError(nil) = %v, CodeOf(nil) = %q", e, protocol.CodeOf(nil))
	}
}

func TestConflict_Facts(t *testing.T) {
	op := must(t)(protocol.Save("a b", []byte("1"), protocol.IfRevision(3)))
	err := fmt.Errorf("x: %w", protocol.Conflict(&op, 17).With(protocol.FactIndex, "2"))
	if revision, ok := protocol.CurrentRevision(err); revision != 17 || !ok {
		t.Errorf("CurrentRevision = %d, %v", revision, ok)
	}
	if index, ok := protocol.ConflictIndex(err); index != 2 || !ok {
		t.Errorf("ConflictIndex = %d, %v", index, ok)
	}
	if want := `x: CONFLICT current_revision=17 index=2: agent "a b" has revision 17, the condition was: revision 3`; err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
	gone := protocol.Conflict(&op, 0)
	if revision, ok := protocol.CurrentRevision(gone); revision != 0 || !ok {
		t.Errorf("CurrentRevision of an absent agent = %d, %v", revision, ok)
	}
	if want := `agent "a b" does not exist, the condition was: revision 3`; gone.Message != want {
		t.Errorf("the message is %q, want %q", gone.Message, want)
	}
}

func TestFacts_ThatAreNotThere(t *testing.T) {
	bad := protocol.Errorf(protocol.CodeConflict, "x").With(protocol.FactCurrentRevision, "many")
	for _, err := range []error{nil, io.EOF, protocol.NotFound("a"), bad} {
		if revision, ok := protocol.CurrentRevision(err); ok {
			t.Errorf("CurrentRevision(%v) = %d, true", err, revision)
		}
		if index, ok := protocol.ConflictIndex(err); ok {
			t.Errorf("ConflictIndex(%v) = %d, true", err, index)
		}
	}
}
