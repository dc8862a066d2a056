package mutator

// How the entrypoint gets into pods.
const (
	// DeliveryInitContainer copies it in an init container; works everywhere.
	DeliveryInitContainer = "init-container"
	// DeliveryImageVolume mounts its image: Kubernetes 1.35 or newer with a
	// runtime that has image volumes, and no init container.
	DeliveryImageVolume = "image-volume"
)
