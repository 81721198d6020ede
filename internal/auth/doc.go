// Package auth judges JSON Web Tokens: where a client's token is found (Places), whether it is valid (Verifier), and
// when it runs out (Deadlines). It knows nothing of sockets, rules or namespaces.
//
// # Judging
//
//	token ─ size, form ─ algorithm ─ key ─ signature ─ exp, nbf, iss, aud ─ *Token
//
// Keys come from three places that may be set together: shared secrets, public keys in PEM, and a key set (JWKS) at a
// URL. golang-jwt checks signatures and claims, jwkset reads keys; both are wrapped because they are lenient where a
// gateway cannot be: names that stand twice, a key that does not fit the algorithm, a response without end.
//
// # A key set that is away
//
// The keys fetched last go on until newer ones have arrived. A key that the set does not hold may have been published
// since, so it is looked for once more, at most every 10 s however many tokens name unknown keys. A token is invalid
// only if a fetch begun after its key was first asked for did not bring it. Until then the answer is ErrUnavailable,
// which passes by itself: the client must be sent away in a way that makes it come back.
//
// # Goroutines
//
// Run fetches key sets, one fetch at a time. Verify never waits: it calls back at once when the keys are known, which is
// the usual case, and otherwise from Run's goroutine. Deadlines has one timer for all tokens.
//
// # Bounds
//
// Tokens of 16 KiB, 64 levels of nesting, key ids of 256 bytes, 16 keys tried for one token, key sets of 1 MiB and
// 1,000 keys, RSA keys of 2,048 to 8,192 bits, 5 s for a fetch. An error holds nothing that the client sent.
package auth
