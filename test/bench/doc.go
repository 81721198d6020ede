// Command bench measures the gateway and Node's socket.io side by side: each in turn in one run, on the same cores, under the
// same load (sioload, beside this file), several rounds, medians with their spread. It prints a Markdown table with the
// ratios; only they travel from one machine to another.
//
//	make bench                     everything
//	make bench BENCH="-rounds 1 -only fanout"
package main
