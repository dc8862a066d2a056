package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/images"
	"github.com/buildkite/agent-stack-k8s/e2e/progress"
	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

// userPlace is a cluster of the user's. What the demo makes there is taken away
// again at its end.
type userPlace struct {
	bin, context, pushTo string

	kubectl stack.Kubectl
	forward *exec.Cmd
}

// simulatorNamespace holds the simulator, which jobs reach at a Service's address.
const simulatorNamespace = "buildkite-simulator"

func (p *userPlace) steps() []progress.Step {
	return []progress.Step{{Name: "reach the cluster", Estimate: time.Second}}
}

// prepare refuses what would get into the way of an installation that is there.
func (p *userPlace) prepare(ctx context.Context, report *progress.Progress) (stack.Kubectl, error) {
	report.Start("reach the cluster", 0)
	p.kubectl = stack.Kubectl{Path: filepath.Join(p.bin, "kubectl"), Context: p.context}
	if p.pushTo == "" {
		return p.kubectl, errors.New("REGISTRY is not set: a registry that this machine can push to and the cluster can pull from, such as localhost:5001 or ghcr.io/me")
	}
	if _, err := p.kubectl.Run(ctx, "version", "--request-timeout=10s"); err != nil {
		return p.kubectl, fmt.Errorf("reach the cluster of context %q: %w", p.context, err)
	}
	for _, namespace := range []string{stack.SystemNamespace, stack.JobNamespace, simulatorNamespace} {
		output, err := p.kubectl.Run(ctx, "get", "namespace", namespace, "--ignore-not-found", "-o", "name")
		if err != nil {
			return p.kubectl, err
		}
		if output != "" {
			return p.kubectl, fmt.Errorf("the cluster of context %q has a namespace %s already; the demo would remove it at its end, so it does not begin", p.context, namespace)
		}
	}
	return p.kubectl, nil
}

func (p *userPlace) registry() string { return p.pushTo }

func (p *userPlace) images() []string { return append(slices.Clone(jobImages), images.Simulator) }

// simulate runs the simulator in the cluster. Its address is that of its Service,
// which is known before it starts.
func (p *userPlace) simulate(ctx context.Context, pulled map[string]string) (ours, pods string, err error) {
	const service = `{apiVersion: v1, kind: Namespace, metadata: {name: ` + simulatorNamespace + `}}
---
{apiVersion: v1, kind: Service, metadata: {name: simulator, namespace: ` + simulatorNamespace + `}, spec: {selector: {app: simulator}, ports: [{port: 8020}]}}
`
	if _, err := p.kubectl.RunInput(ctx, service, "apply", "--server-side", "-f", "-"); err != nil {
		return "", "", err
	}
	address, err := p.kubectl.Run(ctx, "-n", simulatorNamespace, "get", "service", "simulator", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return "", "", err
	}
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	pods = "http://" + address + ":8020"
	deployment := fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: simulator, namespace: %s}
spec:
  selector: {matchLabels: {app: simulator}}
  template:
    metadata: {labels: {app: simulator}}
    spec:
      containers:
        - name: simulator
          image: %s
          command: [/usr/local/bin/simulator, "%s"]
          readinessProbe: {tcpSocket: {port: 8020}, periodSeconds: 1}
`, simulatorNamespace, pulled[images.Simulator], strings.Join(simulatorArguments(":8020", pods), `", "`))
	if _, err := p.kubectl.RunInput(ctx, deployment, "apply", "--server-side", "-f", "-"); err != nil {
		return "", "", err
	}
	if _, err := p.kubectl.Run(ctx, "-n", simulatorNamespace, "rollout", "status", "deployment/simulator", "--timeout=120s"); err != nil {
		return "", "", err
	}
	ours, err = p.portForward(ctx)
	return ours, pods, err
}

var forwarded = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+)`)

// portForward makes the simulator reachable from here, on a free port.
func (p *userPlace) portForward(ctx context.Context) (string, error) {
	p.forward = p.kubectl.Command(ctx, "-n", simulatorNamespace, "port-forward", "service/simulator", ":8020", "--address=127.0.0.1")
	output, err := p.forward.StdoutPipe()
	if err != nil {
		return "", fmt.Errorf("reach the simulator: %w", err)
	}
	if err := p.forward.Start(); err != nil {
		return "", fmt.Errorf("reach the simulator: %w", err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if match := forwarded.FindStringSubmatch(lines.Text()); match != nil {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return "http://" + match[1], nil
		}
	}
	return "", errors.New("reach the simulator: kubectl port-forward ended without a word")
}

func (p *userPlace) farewell(ctx context.Context, out io.Writer, _ string) error {
	if p.forward != nil {
		_ = p.forward.Process.Kill()
		_ = p.forward.Wait()
	}
	fmt.Fprintf(out, "\nRemoving what the demo made in the cluster of context %q.\n", p.context)
	if err := stack.Uninstall(ctx, p.kubectl); err != nil {
		return err
	}
	_, err := p.kubectl.Run(ctx, "delete", "--ignore-not-found", "namespace", simulatorNamespace)
	return err
}
