package cluster

import (
	"fmt"
	"os"
	"path/filepath"
)

// files renders every configuration file, by path. The templates are constants,
// so a failure is a programming mistake that any start shows.
func (s *starter) files() map[string]string {
	resolver, nameservers := resolver()
	return map[string]string{
		containerdConfig: must(renderContainerd(s.sandbox.reference(), s.runc)),
		kubeletConfig:    must(render(kubeletConfiguration(resolver, nameservers))),
		proxyConfig:      must(render(proxyConfiguration())),
		filepath.Join(hostsDir, Registry, "hosts.toml"): renderHosts(),
		filepath.Join(cniDir, "10-bridge.conflist"):     must(renderCNI()),
	}
}

func must(content string, err error) string {
	if err != nil {
		panic(fmt.Sprintf("render a constant: %v", err))
	}
	return content
}

// resolver returns the resolv.conf that pods get, and its nameservers. Where the
// machine runs a resolver of its own on loopback, systemd keeps the real ones in
// a file beside.
func resolver() (path string, nameservers []string) {
	const system, behindStub = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"
	for _, path := range []string{system, behindStub} {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if nameservers := resolvers(string(content)); len(nameservers) > 0 {
			return path, nameservers
		}
	}
	return system, nil
}
