package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"tradewind.dev/tests/cluster/internal/layout"
)

func TestCertificatesVerify(t *testing.T) {
	nodes, err := layout.ParseNodes("general,dedicated")
	if err != nil {
		t.Fatal(err)
	}
	link, err := layout.ChooseLink("01020304", nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := layout.Spec{Nodes: nodes, Link: link}
	files := layout.Files{Root: t.TempDir()}
	if err := Make(spec, files); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(files.Certificate(CA))
	if err != nil || !roots.AppendCertsFromPEM(authority) {
		t.Fatal("no authority", err)
	}
	for name, host := range map[string]string{
		APIServer: link.Cluster.String(), "node1": nodes[1].Address(), Admin: "", Keeper: "",
	} {
		pair, err := tls.LoadX509KeyPair(files.Certificate(name), files.Key(name))
		if err != nil {
			t.Fatal(err)
		}
		options := x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		if _, err := pair.Leaf.Verify(options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	pair, err := tls.LoadX509KeyPair(files.Certificate(FrontProxy), files.Key(FrontProxy))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: client}); err == nil {
		t.Error("the front proxy passes for a client")
	}
}
