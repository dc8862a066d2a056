package controlplane

import "syscall"

// endsWithUs has the kernel kill a process when its parent ends.
func endsWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
