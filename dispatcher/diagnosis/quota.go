package diagnosis

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// quotaLists finds what is asked for and the quota's size in the API server's
// sentence "exceeded quota: q, requested: cpu=2, used: cpu=1, limited: cpu=1".
var quotaLists = regexp.MustCompile(`requested: (\S+?), used: \S+, limited: (\S+)`)

// classifyQuota tells a quota that is used up, which other pods will free,
// from one that the pod alone exceeds.
func classifyQuota(message string) Verdict {
	match := quotaLists.FindStringSubmatch(message)
	if match == nil {
		return Verdict{Class: Hold, Cause: CauseQuota}
	}
	limits := quantities(match[2])
	for name, requested := range quantities(match[1]) {
		if limit, known := limits[name]; known && requested.Cmp(limit) > 0 {
			return Verdict{
				Class: Never, Cause: CauseQuotaTooSmall,
				Advice: "Ask for less " + name + ": " + requested.String() + " is more than the namespace's whole quota of " + limit.String() + ".",
			}
		}
	}
	return Verdict{Class: Hold, Cause: CauseQuota}
}

// quantities reads "cpu=2,memory=1Gi" and leaves out what it cannot read.
func quantities(list string) map[string]resource.Quantity {
	found := map[string]resource.Quantity{}
	for entry := range strings.SplitSeq(list, ",") {
		name, text, _ := strings.Cut(entry, "=")
		if quantity, err := resource.ParseQuantity(text); err == nil {
			found[name] = quantity
		}
	}
	return found
}
