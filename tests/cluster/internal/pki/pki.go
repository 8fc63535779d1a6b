// Package pki makes the certificates of one cluster.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"tradewind.dev/tests/cluster/internal/layout"
)

// lifetime is far longer than any test cluster lives.
const lifetime = 365 * 24 * time.Hour

// Identities that the programs of a cluster present to one another. Each names
// a certificate and a key in the cluster's directory.
const (
	CA         = "ca"        // signs everything but FrontProxy
	FrontCA    = "front-ca"  // signs FrontProxy alone
	APIServer  = "apiserver" // the API server, to its clients
	FrontProxy = "front"     // the API server, to extension API servers
	ToKubelet  = "to-kubelet"
	Admin      = "admin"  // whoever uses the cluster
	Keeper     = "keeper" // this program, so that the audit log tells it from Admin
	Accounts   = "sa"     // signs service account tokens; a key without certificate
	Controller = "kube-controller-manager"
	Scheduler  = "kube-scheduler"
	Proxy      = "kube-proxy"
)

// An authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// An identity describes a certificate to be made.
type identity struct {
	name    string
	subject pkix.Name
	usage   []x509.ExtKeyUsage
	names   []string
	ips     []string
}

var (
	client = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	server = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	both   = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

func subject(name string, groups ...string) pkix.Name {
	return pkix.Name{CommonName: name, Organization: groups}
}

func identities(spec layout.Spec) []identity {
	const masters = "system:masters"
	all := []identity{
		{APIServer, subject("kube-apiserver"), server,
			[]string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
			[]string{"127.0.0.1", layout.ControlAddress, layout.ServiceAddress, spec.Link.Cluster.String()}},
		{ToKubelet, subject("kube-apiserver", masters), client, nil, nil},
		{Admin, subject("admin", masters), client, nil, nil},
		{Keeper, subject("tradewind-cluster", masters), client, nil, nil},
		{Controller, subject("system:kube-controller-manager"), client, nil, nil},
		{Scheduler, subject("system:kube-scheduler"), client, nil, nil},
		{Proxy, subject("system:kube-proxy"), client, nil, nil},
	}
	for _, node := range spec.Nodes {
		all = append(all, identity{node.Name, subject("system:node:"+node.Name, "system:nodes"), both, []string{node.Name}, []string{node.Address()}})
	}
	return all
}

// Make writes all keys and certificates of a cluster.
func Make(spec layout.Spec, files layout.Files) error {
	if err := os.MkdirAll(filepath.Dir(files.Key(CA)), 0o700); err != nil {
		return err
	}
	authorities := map[string]authority{}
	for _, name := range []string{CA, FrontCA} {
		made, err := makeAuthority(name, files)
		if err != nil {
			return fmt.Errorf("certificate authority %s: %w", name, err)
		}
		authorities[name] = made
	}
	for _, who := range identities(spec) {
		if err := authorities[CA].issue(who, files); err != nil {
			return fmt.Errorf("certificate %s: %w", who.name, err)
		}
	}
	// With an authority of its own, the front proxy's certificate cannot be
	// mistaken for a client's, nor a client's for the front proxy's.
	front := identity{FrontProxy, subject("front-proxy"), client, nil, nil}
	if err := authorities[FrontCA].issue(front, files); err != nil {
		return fmt.Errorf("certificate %s: %w", front.name, err)
	}
	_, err := makeKey(Accounts, files)
	return err
}

func makeAuthority(name string, files layout.Files) (authority, error) {
	key, err := makeKey(name, files)
	if err != nil {
		return authority{}, err
	}
	template := certificate(subject(name))
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		return authority{}, err
	}
	return authority{parsed, key}, writePEM(files.Certificate(name), "CERTIFICATE", raw, 0o644)
}

func (a authority) issue(who identity, files layout.Files) error {
	key, err := makeKey(who.name, files)
	if err != nil {
		return err
	}
	template := certificate(who.subject)
	template.ExtKeyUsage = who.usage
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.DNSNames = who.names
	for _, ip := range who.ips {
		address, err := netip.ParseAddr(ip)
		if err != nil {
			return err
		}
		template.IPAddresses = append(template.IPAddresses, address.AsSlice())
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePEM(files.Certificate(who.name), "CERTIFICATE", raw, 0o644)
}

func certificate(name pkix.Name) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      name,
		NotBefore:    time.Now().Add(-time.Hour), // clocks in tests may be set back
		NotAfter:     time.Now().Add(lifetime),
	}
}

func makeKey(name string, files layout.Files) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(files.Key(name), "EC PRIVATE KEY", raw, 0o600)
}

func writePEM(path, kind string, raw []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), mode)
}
