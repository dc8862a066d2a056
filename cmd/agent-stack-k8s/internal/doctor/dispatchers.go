package doctor

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/installation"
	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/terminal"
)

// checkDispatchers looks at the Deployments.
func (d *doctor) checkDispatchers(ctx context.Context) {
	if len(d.found.Dispatchers) == 0 {
		d.at("dispatcher", "cluster").warnf("Nothing, if people and other programs make all pods. Otherwise install it with the manifests or the chart.",
			"there is none, so nobody makes pods for jobs")
	}
	for _, dispatcher := range d.found.Dispatchers {
		d.checkDeployment(ctx, "dispatcher", &dispatcher.Deployment, "no job gets a pod")
		if dispatcher.ConfigErr != nil {
			d.at("dispatcher", "configuration of "+dispatcher.Name()).unknownf("Check its ConfigMap.", "%v", dispatcher.ConfigErr)
		}
	}
}

// checkLeaders looks at whether somebody leads.
func (d *doctor) checkLeaders(ctx context.Context) {
	for _, dispatcher := range d.found.Dispatchers {
		if dispatcher.Setting("leader-elect") == "false" {
			continue
		}
		place := d.at("leader", "dispatcher "+dispatcher.Name())
		lease, err := installation.LeaseOf(ctx, d.client, dispatcher)
		mend := fmt.Sprintf("kubectl -n %s logs deployment/%s", dispatcher.Deployment.Namespace, dispatcher.Deployment.Name)
		switch {
		case err != nil:
			place.unseen(err)
			continue
		case lease == nil:
			place.failf(mend, "there is no Lease, so no replica has ever led")
			continue
		}
		place.where = "Lease " + lease.Namespace + "/" + lease.Name
		isHeld, silence := installation.Held(lease)
		if !isHeld {
			place.failf(mend, "no replica leads: the Lease was last renewed %s ago", terminal.Duration(silence))
			continue
		}
		holder, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
		place.okf("pod %s leads, and renewed it %s ago", holder, terminal.Duration(silence))
	}
}

// access is something that a dispatcher must be allowed.
type access struct {
	group, resource, subresource string
	verbs                        []string
}

// jobAccess is what it needs where the jobs' pods are, ownAccess where it runs.
var (
	jobAccess = []access{
		{"", "pods", "", []string{"get", "list", "watch", "create", "delete", "patch"}},
		{"", "pods", "log", []string{"get"}},
		{"", "podtemplates", "", []string{"get"}},
		{"", "events", "", []string{"get", "list", "watch", "create", "patch"}},
	}
	ownAccess = []access{{"coordination.k8s.io", "leases", "", []string{"get", "create", "update"}}}
)

// checkPermissions asks the API server what each dispatcher may do.
func (d *doctor) checkPermissions(ctx context.Context) {
	for _, dispatcher := range d.found.Dispatchers {
		for _, namespace := range dispatcher.Namespaces() {
			d.checkAccess(ctx, dispatcher, namespace, jobAccess)
		}
		if dispatcher.Setting("leader-elect") != "false" {
			d.checkAccess(ctx, dispatcher, dispatcher.Deployment.Namespace, ownAccess)
		}
	}
}

func (d *doctor) checkAccess(ctx context.Context, dispatcher *installation.Dispatcher, namespace string, wanted []access) {
	user := "system:serviceaccount:" + dispatcher.Deployment.Namespace + ":" + dispatcher.ServiceAccount()
	place := d.at("rbac", "Namespace "+namespace)
	var refused []string
	for _, access := range wanted {
		for _, verb := range access.verbs {
			review := authorizationv1.SubjectAccessReview{
				TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SubjectAccessReview"},
				Spec: authorizationv1.SubjectAccessReviewSpec{
					User: user, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + dispatcher.Deployment.Namespace, "system:authenticated"},
					ResourceAttributes: &authorizationv1.ResourceAttributes{
						Namespace: namespace, Verb: verb, Group: access.group, Resource: access.resource, Subresource: access.subresource,
					},
				},
			}
			var answer authorizationv1.SubjectAccessReview
			if err := d.client.Create(ctx, review, &answer, cluster.Group("authorization.k8s.io/v1", "", "subjectaccessreviews"), false); err != nil {
				place.unseen(err)
				return
			}
			if !answer.Status.Allowed {
				refused = append(refused, verb+" "+strings.TrimSuffix(access.resource+"/"+access.subresource, "/"))
			}
		}
	}
	if len(refused) > 0 {
		place.failf("Apply the dispatcher's Role and RoleBinding to the namespace: manifests/base/dispatcher-rbac.yaml, or the chart.",
			"the dispatcher %s may not %s there", dispatcher.Name(), strings.Join(refused, ", "))
		return
	}
	place.okf("the dispatcher %s may do there what it must", dispatcher.Name())
}
