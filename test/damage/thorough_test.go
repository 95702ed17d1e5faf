//go:build system

package damage

// thorough: the build tag of the tests that take their time takes it here too.
const thorough = true
