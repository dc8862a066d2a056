package doctor

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/installation"
)

// doctor looks at one installation.
type doctor struct {
	client  *cluster.Client
	version string
	// namespace limits what is looked at to the dispatcher in it, or for it.
	namespace string
	// token, if not empty, is for Buildkite instead of the dispatcher's own.
	token string

	report     *Report
	found      *installation.Installation
	namespaces []corev1.Namespace
	// admitted are pods as admission made them, by namespace.
	admitted map[string]*corev1.Pod
}

func (d *doctor) at(check, where string) place {
	return place{report: d.report, check: check, where: where}
}

// examine runs every check. The error says that the cluster does not answer.
func (d *doctor) examine(ctx context.Context) error {
	d.admitted = map[string]*corev1.Pod{}
	if err := d.checkCluster(ctx); err != nil {
		return err
	}
	var err error
	if d.found, err = installation.Find(ctx, d.client, d.namespace); err != nil {
		if !installation.IsForbidden(err) {
			return err
		}
		d.at("installation", d.client.Server).unseen(err)
	}
	if d.namespaces, err = d.found.JobNamespaces(ctx, d.client); err != nil {
		d.at("namespace", d.client.Server).unseen(err)
	}
	for _, check := range []func(context.Context){
		d.checkWebhook, d.checkPolicies, d.checkMutator, d.checkCertificate,
		d.checkNamespaces, d.checkAdmission, d.checkQuotas, d.checkNodes,
		d.checkDispatchers, d.checkLeaders, d.checkPermissions, d.checkAgentTokens, d.checkBuildkite,
		d.checkVersions,
	} {
		check(ctx)
	}
	return nil
}
