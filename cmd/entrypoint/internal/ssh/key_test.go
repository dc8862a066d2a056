//go:build linux

package ssh

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"strings"
	"testing"
)

// openSSHKey is the armour and the head of a key as ssh-keygen writes it, which is
// all that is looked at.
func openSSHKey(cipher string) string {
	body := append([]byte("openssh-key-v1\x00"), binary.BigEndian.AppendUint32(nil, uint32(len(cipher)))...)
	body = append(body, cipher...)
	for i := range 300 {
		body = append(body, byte(i))
	}

	return armoured("OPENSSH PRIVATE KEY", body)
}

func armoured(kind string, body []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}))
}

func TestExamine(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	general := func(key any) string {
		t.Helper()
		body, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}

		return armoured("PRIVATE KEY", body)
	}
	traditional := armoured("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	ecBody, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	own := openSSHKey("none")
	locked := string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: []byte("0123456789abcdef"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
	}))

	cases := map[string]struct{ contents, problem, note string }{
		"OpenSSH":                     {own, "", ""},
		"traditional RSA":             {traditional, "", ""},
		"traditional ECDSA":           {armoured("EC PRIVATE KEY", ecBody), "", ""},
		"traditional DSA":             {armoured("DSA PRIVATE KEY", []byte("0123456789abcdef")), "", ""},
		"general RSA":                 {general(rsaKey), "", "PKCS#8"},
		"general ECDSA":               {general(ecKey), "", "PKCS#8"},
		"general Ed25519":             {general(edKey), "only since 9.6", ""},
		"OpenSSH with passphrase":     {openSSHKey("aes256-ctr"), "has a passphrase", ""},
		"traditional with passphrase": {locked, "has a passphrase", ""},
		"general with passphrase":     {armoured("ENCRYPTED PRIVATE KEY", []byte("0123456789abcdef")), "has a passphrase", ""},
		"public":                      {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== me@here\n", "is a public key", ""},
		"public in armour":            {armoured("PUBLIC KEY", []byte("0123456789abcdef")), "is a public key", ""},
		"public for others":           {"---- BEGIN SSH2 PUBLIC KEY ----\n", "is a public key", ""},
		"certificate":                 {armoured("CERTIFICATE", []byte("0123456789abcdef")), "is a certificate", ""},
		"another armour":              {armoured("SOMETHING", []byte("0123456789abcdef")), "does not begin with", ""},
		"base64":                      {encode(own) + "\n", "is base64", ""},
		"PuTTY":                       {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "PuTTY", ""},
		"escaped line ends":           {strings.ReplaceAll(own, "\n", `\n`), `two characters \n`, ""},
		"spaces for line ends":        {strings.ReplaceAll(own, "\n", " "), "all on one line", ""},
		"no line ends":                {strings.ReplaceAll(own, "\n", ""), "all on one line", ""},
		"no line ends, cut off":       {strings.ReplaceAll(own, "\n", "")[:100], "all on one line", ""},
		"armour cut off":              {"-----BEGIN OPENSSH PRIVATE KEY b3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n", "does not begin with", ""},
		"cut off":                     {own[:100], "damaged or cut off", ""},
		"cut off inside":              {armoured("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00\xff\xff\xff\xffnone")), "is damaged", ""},
		"another body":                {armoured("OPENSSH PRIVATE KEY", []byte("0123456789abcdef")), "is damaged", ""},
		"anything":                    {"correct horse battery staple\n", "does not begin with -----BEGIN OPENSSH PRIVATE KEY-----", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			contents := tidyKey(tc.contents)
			problem, note := examine(contents)
			for what, got := range map[string]string{tc.problem: problem, tc.note: note} {
				if what == "" && got != "" || !strings.Contains(got, what) {
					t.Errorf("got %q, want %q", got, what)
				}
			}
			for line := range strings.Lines(contents) {
				line = strings.TrimSpace(line)
				// Any part of it, as long as a word of ours is not.
				for at := 0; at+20 <= len(line); at++ {
					part := line[at : at+20]
					if !strings.ContainsAny(part, "- ") && strings.Contains(problem+note, part) {
						t.Errorf("a part of the key is in the sentence: %q", problem+note)
					}
				}
			}
		})
	}
}
