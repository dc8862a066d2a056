package doctor

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/installation"
)

func (d *doctor) mutatorName() string {
	return d.found.Mutator.Deployment.Namespace + "/" + d.found.Mutator.Deployment.Name
}

// checkMutator looks at the Deployment and at its configuration.
func (d *doctor) checkMutator(ctx context.Context) {
	if d.found.Mutator == nil {
		return
	}
	d.checkDeployment(ctx, "mutator", &d.found.Mutator.Deployment, "labelled pods are refused")
	place := d.at("mutator", "configuration of "+d.mutatorName())
	if err := d.found.Mutator.ConfigErr; err != nil {
		place.unknownf("agent-stack-k8s render --config FILE says what is wrong with it.", "%v", err)
		return
	}
	place.okf("can be read")
}

// checkDeployment looks at whether enough of a Deployment runs, and if not says
// what its pods say.
func (d *doctor) checkDeployment(ctx context.Context, check string, deployment *appsv1.Deployment, consequence string) {
	name := deployment.Namespace + "/" + deployment.Name
	place := d.at(check, "Deployment "+name)
	wanted := int32(1)
	if deployment.Spec.Replicas != nil {
		wanted = *deployment.Spec.Replicas
	}
	ready := deployment.Status.ReadyReplicas
	mend := fmt.Sprintf("kubectl -n %s describe pods; kubectl -n %s logs deployment/%s", deployment.Namespace, deployment.Namespace, deployment.Name)
	switch {
	case wanted == 0:
		place.failf(fmt.Sprintf("kubectl -n %s scale deployment/%s --replicas=2", deployment.Namespace, deployment.Name), "is scaled to no replicas: %s", consequence)
	case ready == 0:
		place.failf(mend, "none of its %d replicas is ready: %s%s", wanted, consequence, d.podsSay(ctx, deployment))
	case ready < wanted:
		place.warnf(mend, "%d of its %d replicas are ready%s", ready, wanted, d.podsSay(ctx, deployment))
	default:
		place.okf("%d of %d replicas are ready", ready, wanted)
	}
}

// podsSay quotes what keeps a Deployment's pods from being ready.
func (d *doctor) podsSay(ctx context.Context, deployment *appsv1.Deployment) string {
	pods, err := installation.PodsOf(ctx, d.client, deployment)
	if err != nil {
		return ""
	}
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			if waiting := status.State.Waiting; waiting != nil && waiting.Reason != "ContainerCreating" {
				return strings.TrimRight(fmt.Sprintf("; pod %s: %s: %s", pod.Name, waiting.Reason, waiting.Message), ": ")
			}
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
				return fmt.Sprintf("; pod %s: %s", pod.Name, condition.Message)
			}
		}
	}
	for _, condition := range deployment.Status.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			return "; " + condition.Message
		}
	}
	return ""
}
