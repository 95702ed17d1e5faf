//go:build !linux

package store

// renameNew gives a file a name that nothing has yet.
func renameNew(from, to string) error { return linkNew(from, to) }
