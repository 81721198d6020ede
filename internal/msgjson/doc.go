// Package msgjson transcodes between MessagePack, as Socket.IO's servers and emitters put it on Redis, and JSON text
// with attachments, as Socket.IO packets carry it. It reads one form while it writes the other: no tree is built,
// nothing is allocated but the growth of the caller's slices.
//
// # MessagePack to JSON
//
// The text is what Node's notepack.io followed by JSON.stringify would make of it:
//
//   - bin values and ArrayBuffers (ext 0) become {"_placeholder":true,"num":k} and the k-th attachment, a part of the
//     input;
//   - undefined (fixext 1 of type 0) drops the member of a map and is null in an array;
//   - timestamps (ext -1, and the older ext 0 of eight bytes) become ISO 8601 texts with milliseconds;
//   - other extensions become [type, attachment];
//   - NaN and infinities are null, numbers are printed as JavaScript prints them, -0 is 0. Only integers differ: all 64
//     bits of them are kept;
//   - keys that are numbers, booleans, nil or bin become text; other keys refuse the message;
//   - invalid UTF-8 becomes U+FFFD.
//
// # JSON to MessagePack
//
// The bytes are what notepack.io 3 makes of the parsed text: the shortest form of every integer, string and header, an
// integral number as an integer however it was spelled, any other as a 64-bit float. Members keep the order of the
// text. With attachments given, an object whose _placeholder is true is replaced by the one it numbers.
//
// TextReader takes JSON text apart without transcoding it, for messages that go on as the text they came as.
//
// # Bad input
//
// Both directions refuse input that is malformed, truncated, nested too deeply or followed by more bytes; neither
// panics. Lengths are checked against what is left of the input before anything grows. Transcoding n bytes takes time
// linear in n and allocates at most 64n + 16 KiB, garbage included; the fuzz targets assert it. The output is never more
// than some thirty times the input (a list of empty attachments).
package msgjson
