package harness

import "syscall"

// childAttr makes a child end together with the test binary, even if that is killed.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
