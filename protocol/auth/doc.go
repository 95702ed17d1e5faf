// Package auth says who may do what: tokens, the roles they give, and the check of what a client presents.
//
// What may go in: what every front end has to agree on about tokens and roles. What may not: how a token travels,
// which command or route needs which role, and where tokens are configured. It imports the standard library alone.
//
// A [Keyring] holds the tokens that are good now, and can be given others while clients are connected. Each client
// has a [Grant], which it renews before each request; so a token that is taken away ends at once what it allowed.
//
// Tokens are kept as SHA-256 digests. That is enough for secrets nobody can guess, which the shortest allowed token
// ([MinSecretBytes]) is meant to be; these are not passwords of people. A presented token is compared with every
// digest, in constant time each, so that the time tells nothing.
package auth
