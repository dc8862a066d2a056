package installation

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

// leasePrefix is what the names of dispatchers' Leases begin with.
const leasePrefix = "dispatcher-"

// LeaseOf returns the Lease that a dispatcher's replicas lead by, the one that
// was renewed last if there are several; nil if there is none.
func LeaseOf(ctx context.Context, client *cluster.Client, dispatcher *Dispatcher) (*coordinationv1.Lease, error) {
	namespace := cmp.Or(dispatcher.Setting("lease-namespace"), dispatcher.Deployment.Namespace)
	var list coordinationv1.LeaseList
	if err := client.Get(ctx, &list, cluster.Group("coordination.k8s.io/v1", namespace, "leases")); err != nil {
		return nil, err
	}
	var found []coordinationv1.Lease
	for _, lease := range list.Items {
		if strings.HasPrefix(lease.Name, leasePrefix) {
			found = append(found, lease)
		}
	}
	// One that a replica of this very Deployment holds, or held, is its own.
	own := slices.DeleteFunc(slices.Clone(found), func(lease coordinationv1.Lease) bool {
		return lease.Spec.HolderIdentity == nil || !strings.HasPrefix(*lease.Spec.HolderIdentity, dispatcher.Deployment.Name+"-")
	})
	if len(own) > 0 {
		found = own
	}
	if len(found) == 0 {
		return nil, nil //nolint:nilnil // "there is none" is an answer
	}
	latest := slices.MaxFunc(found, func(a, b coordinationv1.Lease) int { return renewed(&a).Compare(renewed(&b)) })
	return &latest, nil
}

func renewed(lease *coordinationv1.Lease) time.Time {
	if lease.Spec.RenewTime == nil {
		return time.Time{}
	}
	return lease.Spec.RenewTime.Time
}

// Held reports whether a Lease is held, and says since when it was not renewed.
func Held(lease *coordinationv1.Lease) (isHeld bool, silence time.Duration) {
	silence = terminal.Now().Sub(renewed(lease))
	duration := 15 * time.Second
	if lease.Spec.LeaseDurationSeconds != nil {
		duration = time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
	}
	isHolder := lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != ""
	// This machine's clock may differ from the cluster's.
	return isHolder && silence < duration+5*time.Second, silence
}

// Leader returns the name of the pod that leads, and whether one does.
func Leader(ctx context.Context, client *cluster.Client, dispatcher *Dispatcher) (pod string, leads bool, err error) {
	lease, err := LeaseOf(ctx, client, dispatcher)
	if err != nil || lease == nil {
		return "", false, err
	}
	isHeld, _ := Held(lease)
	if !isHeld {
		return "", false, nil
	}
	pod, _, _ = strings.Cut(*lease.Spec.HolderIdentity, "_")
	return pod, true, nil
}
