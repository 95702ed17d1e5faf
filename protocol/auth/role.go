package auth

import "fmt"

// Role says what a client may do. Each role may do what the ones before it may.
type Role uint8

// The roles.
const (
	RoleNone  Role = iota // nothing but to authenticate
	RoleRead              // load, list, count, and look at the daemon
	RoleWrite             // save and delete agents
	RoleAdmin             // remove all agents at once, and look at other clients
)

var roleNames = [...]string{RoleNone: "none", RoleRead: "read", RoleWrite: "write", RoleAdmin: "admin"}

// String gives the role's name in lower case, as the configuration has it.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// ParseRole gives the role of a name: read, write or admin. For another name ok is false.
func ParseRole(name string) (r Role, ok bool) {
	for r := RoleRead; r <= RoleAdmin; r++ {
		if roleNames[r] == name {
			return r, true
		}
	}
	return RoleNone, false
}
