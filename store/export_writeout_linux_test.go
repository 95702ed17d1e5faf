package store

// StartWriting is what a write-out does.
var StartWriting = startWriting
