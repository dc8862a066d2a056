//go:build !linux

package controlplane

import "syscall"

// endsWithUs is for Linux alone; elsewhere Stop has to be called.
func endsWithUs() *syscall.SysProcAttr { return nil }
