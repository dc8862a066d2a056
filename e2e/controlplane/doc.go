// Package controlplane runs a Kubernetes control plane on loopback for tests of
// load: etcd, kube-apiserver and kube-scheduler as they are, nodes that KWOK
// simulates, and the product's own programs in front of them. It needs neither
// root nor the local cluster, and runs beside it.
//
// No container runs: a simulated node says that its pods' containers have
// started, and there is nothing in them. Whoever wants a job to be run has to do
// what its agent would do.
//
// All programs end with the one that started them.
package controlplane
