package wsframe

import (
	"errors"
	"testing"
)

func TestDeflate_OffersThatCanBeAccepted(t *testing.T) {
	const plain, none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover", ""
	const window = plain + "; server_max_window_bits=15"
	for offers, want := range map[string]string{
		"":                   none,
		"permessage-deflate": plain,
		"permessage-deflate; client_max_window_bits":                                          plain,
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover":          plain,
		"permessage-deflate; server_max_window_bits=10":                                       none,
		"permessage-deflate;server_max_window_bits=15":                                        window,
		"permessage-deflate; client_max_window_bits; server_max_window_bits=15":               window, // Starscream, for Swift
		`permessage-deflate; server_max_window_bits="15"`:                                     window,
		"permessage-deflate; server_max_window_bits":                                          none,
		"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15":            none,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":                   plain,
		"permessage-deflate; something_new":                                                   none,
		"permessage-deflate; server_no_context_takeover=1":                                    none,
		"permessage-deflate; client_max_window_bits=7":                                        none,
		"permessage-deflate; client_max_window_bits=08":                                       none,
		"x-webkit-deflate-frame":                                                              none,
		"permessage-bzip2, permessage-deflate ; client_max_window_bits = 10":                  plain,
		"permessage-deflate-not":                                                              none,
		"permessage-deflate; client_max_window_bits; server_max_window_bits=12, something; x": none,
	} {
		if got := AnswerDeflate([]string{offers}); got != want {
			t.Errorf("%q: %q, want %q", offers, got, want)
		}
	}
}

func TestInflate_IsBounded(t *testing.T) {
	bomb := Deflate(make([]byte, 10<<20))
	if len(bomb) > 100_000 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for limit, want := range map[int]error{1000: TooLarge, 10<<20 - 1: TooLarge, 10 << 20: nil} {
		out, err := Inflate(nil, bomb, limit)
		if !errors.Is(err, want) || len(out) > limit+1 {
			t.Errorf("limit %d: %d bytes, %v", limit, len(out), err)
		}
	}
	for _, broken := range []string{"\xff\xff\xff", "\x07", "\x05\x00\x00"} {
		if _, err := Inflate(nil, []byte(broken), 1000); !errors.Is(err, NotUTF8) {
			t.Errorf("%q: %v", broken, err)
		}
	}
	if out, err := Inflate(nil, []byte{0}, 1000); len(out) != 0 || err != nil {
		t.Errorf("nothing became %q, %v", out, err)
	}
}

func TestDeflate_NilWhereItSavesNothing(t *testing.T) {
	for _, message := range []string{"", "x", "abcdefgh"} {
		if p := Deflate([]byte(message)); p != nil {
			t.Errorf("%q became %q", message, p)
		}
	}
}

func FuzzInflate(f *testing.F) {
	f.Add([]byte("\x32\x49\xcd\xc9\xc9\x07\x00"))
	f.Add([]byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, message []byte) {
		const limit = 2000
		out, err := Inflate(nil, message, limit)
		if err == nil && len(out) > limit {
			t.Errorf("%d bytes", len(out))
		}
		if compressed := Deflate(out); compressed != nil {
			again, err := Inflate(nil, compressed, limit+1)
			if err != nil || string(again) != string(out) {
				t.Errorf("%q became %q, %v", out, again, err)
			}
		}
	})
}
