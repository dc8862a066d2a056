package controlplane

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stages of nodes and pods. KWOK's own would leave bare pods running for ever
// too, so that only what a kubelet says of a pod's start is in them.
//
//go:embed stages.yaml
var stages []byte

// startNodes makes the nodes and starts what simulates them and what gives pods
// to them.
func (p *Plane) startNodes(ctx context.Context) (err error) {
	if p.options.Nodes == 0 {
		return nil
	}
	path := filepath.Join(p.Directory, "kwok.yaml")
	if err := os.WriteFile(path, stages, 0o600); err != nil {
		return fmt.Errorf("write the stages: %w", err)
	}
	for i := range p.options.Nodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name:   fmt.Sprintf("simulated-%03d", i),
			Labels: map[string]string{corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64"},
		}}
		if _, err := p.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("make node %s: %w", node.Name, err)
		}
	}
	return p.StartNodes(ctx)
}

// StartNodes starts the scheduler and KWOK and waits until the nodes are ready.
func (p *Plane) StartNodes(ctx context.Context) (err error) {
	if err := p.startScheduler(); err != nil {
		return err
	}
	p.kwok, err = Start(p.program("kwok", "kwok",
		"--config="+filepath.Join(p.Directory, "kwok.yaml"),
		"--kubeconfig="+p.Kubeconfig,
		"--manage-all-nodes",
		"--node-ip="+loopback,
		"--node-lease-duration-seconds=0", // nobody looks at leases
	))
	if err != nil {
		return err
	}
	return p.kwok.waitFor(ctx, p.nodesReady)
}

// StopNodes ends the scheduler and KWOK: pods stay as they are.
func (p *Plane) StopNodes() {
	for _, process := range []*Process{p.scheduler, p.kwok} {
		if process != nil {
			process.Kill()
		}
	}
	p.scheduler, p.kwok = nil, nil
}

func (p *Plane) nodesReady(ctx context.Context) error {
	nodes, err := p.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		if !isReady(node) {
			return errors.New("node " + node.Name + " is not ready")
		}
	}
	return nil
}

func isReady(node corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
