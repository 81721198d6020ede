// Package bytesjson writes lists of arguments as plain JSON and reads them back, for protocols without attachments: bytes
// are an object with one member, {"$bytes": "<base64>"}, with the standard alphabet and padding of RFC 4648.
package bytesjson
