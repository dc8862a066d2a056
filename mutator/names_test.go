package mutator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

func containerNames(containers []corev1.Container) []string {
	names := make([]string, len(containers))
	for i, container := range containers {
		names[i] = container.Name
	}
	return names
}

// isSubsequence says whether a list has the elements of another in their order.
func isSubsequence(part, whole []string) bool {
	for _, element := range part {
		index := slices.Index(whole, element)
		if index < 0 {
			return false
		}
		whole = whole[index+1:]
	}
	return true
}
