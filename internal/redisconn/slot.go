package redisconn

import "strings"

// Slots is the number of hash slots of a Redis Cluster.
const Slots = 1 << 14

// Slot is the hash slot of a key or sharded channel: of what its first braces hold, if anything, or of all of it.
func Slot(name string) uint16 {
	if start := strings.IndexByte(name, '{'); start >= 0 {
		if n := strings.IndexByte(name[start+1:], '}'); n > 0 {
			name = name[start+1 : start+1+n]
		}
	}
	var sum uint16
	for i := range len(name) {
		sum = sum<<8 ^ crcTable[byte(sum>>8)^name[i]]
	}
	return sum % Slots
}

// crcTable is for CRC-16/XMODEM, byte by byte.
var crcTable = func() (table [256]uint16) {
	const polynomial = 0x1021
	for i := range table {
		sum := uint16(i) << 8
		for range 8 {
			carry := sum&0x8000 != 0
			if sum <<= 1; carry {
				sum ^= polynomial
			}
		}
		table[i] = sum
	}
	return table
}()
