package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"

	"github.com/buildkite/agent-stack-k8s/cmd/agent-stack-k8s/internal/cluster"
	"github.com/buildkite/agent-stack-k8s/mutator"
)

var (
	// oldestKubernetes has ValidatingAdmissionPolicies and scheduling gates.
	oldestKubernetes = version.MustParseGeneric("1.30")
	// oldestImageVolumes has image volumes without a feature gate;
	// oldestContainerd and oldestCRIO can mount them.
	oldestImageVolumes = version.MustParseGeneric("1.35")
	oldestContainerd   = version.MustParseGeneric("2.1")
	oldestCRIO         = version.MustParseGeneric("1.31")
)

// checkCluster asks for the API server's version. The error says that there is
// no answer.
func (d *doctor) checkCluster(ctx context.Context) error {
	var info apiversion.Info
	if err := d.client.Get(ctx, &info, "/version"); err != nil {
		return err
	}
	place := d.at("cluster", cmp.Or(d.client.Context, d.client.Server))
	found, err := version.ParseGeneric(info.GitVersion)
	switch {
	case err != nil:
		place.unknownf("", "its version %q is not understood", info.GitVersion)
	case found.LessThan(oldestKubernetes):
		place.failf("Upgrade the cluster.", "Kubernetes %s is older than %s: it has no ValidatingAdmissionPolicy", info.GitVersion, oldestKubernetes)
	default:
		place.okf("Kubernetes %s", info.GitVersion)
	}
	return nil
}

// checkNodes holds the nodes against the delivery of the entrypoint.
func (d *doctor) checkNodes(ctx context.Context) {
	if d.found.Mutator == nil || d.found.Mutator.Config == nil {
		return
	}
	delivery := d.found.Mutator.Config.Delivery
	var list corev1.NodeList
	if err := d.client.Get(ctx, &list, cluster.Core("", "nodes")); err != nil {
		d.at("nodes", "cluster").unseen(err)
		return
	}
	if len(list.Items) == 0 {
		d.at("nodes", "cluster").warnf("Nothing, if an autoscaler makes nodes when there are jobs.", "there are no nodes")
		return
	}
	incapable := 0
	for _, node := range list.Items {
		if delivery != mutator.DeliveryImageVolume {
			break
		}
		if reason := cannotMountImages(&node.Status.NodeInfo); reason != "" {
			incapable++
			d.at("nodes", "Node "+node.Name).failf("Set delivery: init-container in the mutator's configuration, or upgrade the node.",
				"cannot mount the entrypoint's image as a volume: %s", reason)
		}
	}
	if incapable == 0 {
		d.at("nodes", "cluster").okf("%s can run pods with delivery %s", count(len(list.Items), "node"), cmp.Or(delivery, mutator.DeliveryInitContainer))
	}
}

func cannotMountImages(info *corev1.NodeSystemInfo) string {
	if kubelet, err := version.ParseGeneric(info.KubeletVersion); err == nil && kubelet.LessThan(oldestImageVolumes) {
		return fmt.Sprintf("its kubelet is %s, and image volumes need %s", info.KubeletVersion, oldestImageVolumes)
	}
	name, text, _ := strings.Cut(info.ContainerRuntimeVersion, "://")
	oldest := map[string]*version.Version{"containerd": oldestContainerd, "cri-o": oldestCRIO}[name]
	if oldest == nil {
		return ""
	}
	if runtime, err := version.ParseGeneric(text); err == nil && runtime.LessThan(oldest) {
		return fmt.Sprintf("its runtime is %s %s, and image volumes need %s", name, text, oldest)
	}
	return ""
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
