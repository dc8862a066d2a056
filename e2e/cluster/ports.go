package cluster

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// checkPorts makes sure that nothing listens where our programs will.
func checkPorts() error {
	var sockets []socket
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return fmt.Errorf("list listening ports: %w", err)
		}
		sockets = append(sockets, listening(string(content))...)
	}
	wanted := endpoints()
	for _, user := range slices.Sorted(maps.Keys(wanted)) {
		for _, s := range sockets {
			if s.conflicts(wanted[user]) {
				return portError(user, wanted[user], owner(s.inode))
			}
		}
	}
	return nil
}

func portError(user string, wanted endpoint, owner string) error {
	return fmt.Errorf("port %d, which %s needs, is in use by %s: stop it", wanted.port, user, owner)
}

// socket is a listening TCP socket.
type socket struct {
	address netip.AddrPort
	inode   string
}

// conflicts tells whether the socket takes the endpoint, itself or with every
// address of the machine.
func (s socket) conflicts(e endpoint) bool {
	if int(s.address.Port()) != e.port {
		return false
	}
	address := s.address.Addr()
	return address.IsUnspecified() || address.String() == e.host
}

// listening parses /proc/net/tcp and tcp6; see proc_net(5).
func listening(table string) []socket {
	const address, state, inode, listen = 1, 3, 9, "0A"
	var sockets []socket
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) <= inode || fields[state] != listen {
			continue
		}
		if parsed, err := parseSocketAddress(fields[address]); err == nil {
			sockets = append(sockets, socket{address: parsed, inode: fields[inode]})
		}
	}
	return sockets
}

// parseSocketAddress reads "0100007F:1F90": words of the address in the order of
// the machine's bytes, which is little-endian wherever this runs, then the port.
func parseSocketAddress(text string) (netip.AddrPort, error) {
	host, port, found := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if !found || err != nil {
		return netip.AddrPort{}, fmt.Errorf("parse socket address %q", text)
	}
	bytes, err := hex.DecodeString(host)
	if err != nil || len(bytes)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("parse socket address %q", text)
	}
	for i := 0; i < len(bytes); i += 4 {
		slices.Reverse(bytes[i : i+4])
	}
	address, ok := netip.AddrFromSlice(bytes)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("parse socket address %q", text)
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), nil
}

// owner says which process holds a socket, as well as it can be known.
func owner(inode string) string {
	want := "socket:[" + inode + "]"
	for _, p := range processes() {
		descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid))
		if err != nil {
			continue
		}
		for _, descriptor := range descriptors {
			if link, err := os.Readlink(descriptor); err == nil && link == want {
				return fmt.Sprintf("%s (process %d)", p.name, p.pid)
			}
		}
	}
	return "an unknown process"
}
