package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stated/stated/config"
	"github.com/stated/stated/protocol"
)

// The exit codes. They are part of the interface: scripts branch on them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // of the command line, of the configuration, or of an agent id or state
	exitNotFound    = 3
	exitConflict    = 4
	exitUnavailable = 5 // locked, overloaded, unavailable, or owned by another process
	exitDamaged     = 6
	exitUnknown     = 7 // the change may have been applied
)

const exitHelp = `Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not found, 4 conflict,
5 locked, overloaded, unavailable or owned by another process, 6 damaged data,
7 unknown: the change may have been applied.`

// errInterrupted ends a command that was told to stop before it had done anything.
var errInterrupted = errors.New("interrupted")

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	var usage usageError
	var problems config.Problems
	var known *protocol.Error
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &problems):
		return exitUsage
	case !errors.As(err, &known):
		return exitFailed
	}
	switch known.Code {
	case protocol.CodeInvalid:
		return exitUsage
	case protocol.CodeNotFound:
		return exitNotFound
	case protocol.CodeConflict:
		return exitConflict
	case protocol.CodeLocked, protocol.CodeOverloaded, protocol.CodeUnavailable, protocol.CodeCanceled:
		return exitUnavailable
	case protocol.CodeCorrupt:
		return exitDamaged
	case protocol.CodeUnknown:
		return exitUnknown
	default:
		return exitFailed
	}
}

// message gives an error as people want to read it: one line, or one for each problem of a configuration.
func message(err error) string {
	var known *protocol.Error
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return "the configuration has errors:\n  " + strings.ReplaceAll(problems.Error(), "\n", "\n  ")
	case errors.As(err, &known) && known.Code == protocol.CodeUnknown:
		return known.Message + "; load the agent to see what is there"
	case errors.As(err, &known):
		return known.Message
	default:
		return err.Error()
	}
}
