package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
)

// maxKeys bounds a key set.
const maxKeys = 1000

// keySet is what a JWKS held when it was fetched. Immutable.
type keySet struct {
	all  []key
	byID map[string][]key // several keys may share an id, one for each type
}

// find returns the keys for a token: those of its id, or all where it names none.
func (s *keySet) find(id string) []key {
	switch {
	case s == nil:
		return nil
	case id == "":
		return s.all
	}
	return s.byID[id]
}

// parseKeySet reads a JWKS. Keys that tokens cannot be checked with are left out: those for encryption, of unknown types,
// broken ones. Secrets (kty oct) are left out as well: what anyone may fetch proves nothing.
func parseKeySet(text []byte) (*keySet, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("not a key set: %w", err)
	}
	if document.Keys == nil {
		return nil, errors.New("not a key set: no list keys")
	}
	if len(document.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, more than %d", len(document.Keys), maxKeys)
	}
	set := &keySet{byID: make(map[string][]key)}
	for _, text := range document.Keys {
		if k, ok := parseKey(text); ok {
			set.all = append(set.all, k)
			set.byID[k.id] = append(set.byID[k.id], k)
		}
	}
	if len(set.all) == 0 {
		return nil, errors.New("no key in it can check a signature")
	}
	return set, nil
}

func parseKey(text []byte) (key, bool) {
	var form jwkset.JWKMarshal
	if json.Unmarshal(text, &form) != nil || len(form.KID) > maxKeyID {
		return key{}, false
	}
	if form.USE != "" && form.USE != jwkset.UseSig || form.KEYOPS != nil && !slices.Contains(form.KEYOPS, jwkset.KeyOpsVerify) {
		return key{}, false
	}
	form.X5C, form.X5U = nil, "" // certificates prove nothing beyond the URL that the set came from
	parsed, err := jwkset.NewJWKFromMarshal(form, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil || usable(parsed.Key()) != nil {
		return key{}, false
	}
	return key{public: parsed.Key(), id: form.KID, only: string(form.ALG)}, true
}
