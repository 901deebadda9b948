package jit

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
)

// ParsePublicKey reads the public key that a runner registers with: .NET's XML,
// <RSAKeyValue><Modulus>…</Modulus><Exponent>…</Exponent></RSAKeyValue>.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	var k struct{ Modulus, Exponent string }
	if err := xml.Unmarshal([]byte(text), &k); err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	n, err := number(k.Modulus)
	if err != nil {
		return nil, fmt.Errorf("public key: Modulus: %w", err)
	}
	e, err := number(k.Exponent)
	if err != nil {
		return nil, fmt.Errorf("public key: Exponent: %w", err)
	}
	if n.BitLen() < 1024 || n.BitLen() > 8192 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
		return nil, errors.New("public key: want an RSA key of 1024 to 8192 bits")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func number(text string) (*big.Int, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return new(big.Int).SetBytes(data), nil
}
