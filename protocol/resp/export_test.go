package resp

// AppendCommand lets the external tests write what the client writes.
var AppendCommand = appendCommand
