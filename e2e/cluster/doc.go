// Package cluster runs a real Kubernetes node on this machine without Docker:
// etcd, kube-apiserver, scheduler, controller-manager, kubelet and kube-proxy,
// containerd with runc and CNI, and an OCI registry from which containerd pulls.
//
// The programs outlive the process that starts them. Everything they leave on the
// machine can be found again without a record of it: state lies under StateDir
// and RunDir, processes carry a mark in their environment, containers live in a
// cgroup of ours, and the network is one bridge, with rules that say whose they
// are. So a cluster that was killed at any point is cleaned up by the same code
// as one that runs.
package cluster
