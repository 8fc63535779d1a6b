package render

import (
	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/pki"
)

const storeURL = "http://127.0.0.1:2379"

// Etcd is the command line of the store. It does not wait for the disk: a
// killed process loses nothing by that, and a cluster does not outlive a
// crashed machine anyway.
func Etcd() []string {
	const peers = "http://127.0.0.1:2380"
	return []string{
		Inside.Bin("etcd"),
		"--name=main",
		"--data-dir=" + Inside.Etcd(),
		"--listen-client-urls=" + storeURL,
		"--advertise-client-urls=" + storeURL,
		"--listen-peer-urls=" + peers,
		"--initial-advertise-peer-urls=" + peers,
		"--initial-cluster=main=" + peers,
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

// APIServer is the command line of the API server. Pod Security admission is
// among the plugins that it runs unasked.
func APIServer() []string {
	return []string{
		Inside.Bin("kube-apiserver"),
		"--etcd-servers=" + storeURL,
		"--advertise-address=" + layout.ControlAddress,
		"--secure-port=6443",
		"--tls-cert-file=" + Inside.Certificate(pki.APIServer),
		"--tls-private-key-file=" + Inside.Key(pki.APIServer),
		"--client-ca-file=" + Inside.Certificate(pki.CA),
		"--service-account-key-file=" + Inside.Key(pki.Accounts),
		"--service-account-signing-key-file=" + Inside.Key(pki.Accounts),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-cluster-ip-range=" + layout.ServiceRange,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction,PodSecurity",
		"--allow-privileged=true",
		"--profiling=false",
		"--kubelet-client-certificate=" + Inside.Certificate(pki.ToKubelet),
		"--kubelet-client-key=" + Inside.Key(pki.ToKubelet),
		"--kubelet-certificate-authority=" + Inside.Certificate(pki.CA),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + Inside.Certificate(pki.FrontCA),
		"--requestheader-allowed-names=front-proxy",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + Inside.Certificate(pki.FrontProxy),
		"--proxy-client-key-file=" + Inside.Key(pki.FrontProxy),
		// No kube-proxy runs beside the API server, so webhooks are reached
		// at the address of a pod rather than that of their Service.
		"--enable-aggregator-routing=true",
		"--audit-policy-file=" + Inside.AuditPolicy(),
		"--audit-log-path=" + Inside.Audit(),
		"--audit-log-maxsize=4096",
	}
}

// AuditPolicy records who did what to which object for every request, once it
// has been answered; writes of service accounts also when they arrive, so that
// a test can end a controller before it has the answer. Bodies stay out, and so
// do Secrets with them.
const AuditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts"]
  verbs: [create, update, patch, delete, deletecollection]
- level: Metadata
  omitStages: [RequestReceived]
`

// disabledControllers have nothing to do here and poll all the same.
const disabledControllers = "*,-horizontal-pod-autoscaler-controller,-persistentvolume-attach-detach-controller," +
	"-persistentvolume-expander-controller,-node-route-controller,-service-lb-controller,-cloud-node-lifecycle-controller," +
	"-legacy-serviceaccount-token-cleaner-controller"

// ControllerManager is the command line of the controllers. With a single
// instance, there is no leader to elect.
func ControllerManager() []string {
	return append(controller(pki.Controller),
		"--controllers="+disabledControllers,
		"--service-account-private-key-file="+Inside.Key(pki.Accounts),
		"--root-ca-file="+Inside.Certificate(pki.CA),
		"--use-service-account-credentials=true",
		"--cluster-signing-cert-file="+Inside.Certificate(pki.CA),
		"--cluster-signing-key-file="+Inside.Key(pki.CA),
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	)
}

// SchedulerCommand is the command line of the scheduler.
func SchedulerCommand() []string {
	return append(controller(pki.Scheduler), "--kube-api-qps=200", "--kube-api-burst=400")
}

func controller(name string) []string {
	kubeconfig := Inside.Kubeconfig(name)
	return []string{
		Inside.Bin(name),
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
		"--profiling=false",
	}
}
