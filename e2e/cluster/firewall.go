package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// firewallRules lets pods out, to this machine and to each other, also where the
// machine's default is to drop. The comment says whose rules they are.
var firewallRules = fmt.Sprintf(`*nat
-A POSTROUTING -s %[1]s ! -o %[2]s -m comment --comment %[3]s -j MASQUERADE
COMMIT
*filter
-I FORWARD -i %[2]s -m comment --comment %[3]s -j ACCEPT
-I FORWARD -o %[2]s -m comment --comment %[3]s -j ACCEPT
-I INPUT -i %[2]s -m comment --comment %[3]s -j ACCEPT
COMMIT
`, PodNetwork, Bridge, network)

func addFirewallRules(ctx context.Context) error {
	return restoreFirewall(ctx, "iptables", firewallRules)
}

// restoreFirewall applies changes, all or none of them, and leaves other rules be.
func restoreFirewall(ctx context.Context, family, changes string) error {
	command := exec.CommandContext(ctx, family+"-restore", "--noflush", "--wait", "10")
	command.Stdin = strings.NewReader(changes)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("change firewall rules: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// cleanFirewall removes the rules and chains of kube-proxy, the kubelet, the
// portmap plugin for our network, and our own.
func cleanFirewall(ctx context.Context) error {
	families := []string{"iptables"}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil { // else its tables may be missing too
		families = append(families, "ip6tables")
	}
	for _, family := range families {
		saved, err := exec.CommandContext(ctx, family+"-save").Output()
		if errors.Is(err, exec.ErrNotFound) {
			return nil // then nobody made any rules
		}
		if err != nil {
			return fmt.Errorf("read firewall rules: %w", err)
		}
		if changes := firewallRemoval(string(saved)); changes != "" {
			if err := restoreFirewall(ctx, family, changes); err != nil {
				return err
			}
		}
	}
	return nil
}

// firewallRemoval returns the input for iptables-restore that takes everything of
// the cluster's out of what iptables-save printed; empty if there is nothing.
func firewallRemoval(saved string) string {
	var b strings.Builder
	var t firewallTable
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			t = firewallTable{name: line[1:]}
		case strings.HasPrefix(line, ":"):
			t.chains = append(t.chains, strings.Fields(line[1:])[0])
		case strings.HasPrefix(line, "-A "):
			t.rules = append(t.rules, line)
		case line == "COMMIT":
			b.WriteString(t.removal())
		}
	}
	return b.String()
}

// firewallTable is one table of iptables-save's output.
type firewallTable struct {
	name   string
	chains []string
	rules  []string // "-A CHAIN ..."
}

// portmapPrefix begins the names of the portmap plugin's chains: one per
// container, and common ones that other networks may use.
const portmapPrefix = "CNI-"

var jump = regexp.MustCompile(` -[jg] (\S+)`)

func target(rule string) string {
	if match := jump.FindStringSubmatch(rule); match != nil {
		return match[1]
	}
	return ""
}

func chainOf(rule string) string { return strings.Fields(rule)[1] }

// marked tells whether a rule's comment says that it is the cluster's.
func marked(rule string) bool {
	return strings.Contains(rule, "--comment "+network+" ") || strings.Contains(rule, `name: \"`+network+`\"`)
}

// removal deletes rules first, then empties chains, then removes these.
func (t firewallTable) removal() string {
	doomed := t.doomed()
	var deletions, flushes, removals strings.Builder
	for _, rule := range t.rules {
		if !doomed[chainOf(rule)] && (marked(rule) || doomed[target(rule)]) {
			deletions.WriteString("-D " + strings.TrimPrefix(rule, "-A ") + "\n")
		}
	}
	for _, chain := range t.chains {
		if doomed[chain] {
			flushes.WriteString("-F " + chain + "\n")
			removals.WriteString("-X " + chain + "\n")
		}
	}
	if deletions.Len()+flushes.Len() == 0 {
		return ""
	}
	return "*" + t.name + "\n" + deletions.String() + flushes.String() + removals.String() + "COMMIT\n"
}

// doomed returns the chains that go: all of Kubernetes', those of our containers,
// and the portmap plugin's common ones if no other network has rules there.
func (t firewallTable) doomed() map[string]bool {
	doomed := map[string]bool{}
	for _, chain := range t.chains {
		doomed[chain] = strings.HasPrefix(chain, "KUBE-")
	}
	for _, rule := range t.rules {
		if marked(rule) && strings.HasPrefix(target(rule), portmapPrefix) {
			doomed[target(rule)] = true
		}
	}
	foreign := slices.ContainsFunc(t.chains, func(chain string) bool {
		return strings.HasPrefix(chain, portmapPrefix) && !strings.HasPrefix(chain, "CNI-HOSTPORT-") && !doomed[chain]
	})
	for _, chain := range t.chains {
		if strings.HasPrefix(chain, "CNI-HOSTPORT-") && !foreign {
			doomed[chain] = true
		}
	}
	return doomed
}
