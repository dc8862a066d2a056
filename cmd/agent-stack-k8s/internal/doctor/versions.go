package doctor

import (
	"context"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
)

// checkVersions compares the versions of the parts, as their images' tags tell
// them.
func (d *doctor) checkVersions(context.Context) {
	if d.found.Mutator == nil {
		return
	}
	mutator := tagOf(&d.found.Mutator.Deployment)
	for _, dispatcher := range d.found.Dispatchers {
		place := d.at("versions", "dispatcher "+dispatcher.Name())
		switch own := tagOf(&dispatcher.Deployment); {
		case own == "" || mutator == "":
			place.unknownf("", "the images have no tags to compare")
		case own != mutator:
			place.warnf("Roll the same version of both out.", "dispatcher %s and mutator %s differ", own, mutator)
		default:
			place.okf("dispatcher and mutator are %s, this program %s", own, d.version)
		}
	}
}

// tagOf is the tag of a Deployment's first image, "" for a digest alone.
func tagOf(deployment *appsv1.Deployment) string {
	containers := deployment.Spec.Template.Spec.Containers
	if len(containers) == 0 {
		return ""
	}
	image, _, _ := strings.Cut(containers[0].Image, "@")
	_, last, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return last
}
