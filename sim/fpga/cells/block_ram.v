// The memory behind the block RAM models of both families: two ports on nine-bit bytes, of one clock.
//
// Vectors of two halves hold port A below, port B above. Widths are 0 (not used), 1, 2, 4, 9, 18, 36 or 72 bits;
// bit 3 of an address counts bytes, bits 2 to 0 the bits of a byte where a width is below nine. MODE is what a port
// reads while it writes: 0 keeps its output, 1 is the word of before, 2 the new one.
//
// Where one port reads what the other writes in the same cycle, the hardware promises the word of before if the
// writing port has OLD set, and nothing otherwise: the model then gives every bit wrong, so that a netlist that relies
// on it is noticed.
module fivebyfive_block_ram #(
  parameter BYTES = 2048,
  parameter [0:0] NINE = 0,  // initial contents: 1 has two bytes of nine bits every 20 bits, 0 has the ninth bits apart
  parameter INIT = 0,
  parameter PARITY = 0,
  parameter [15:0] READ = 0,
  parameter [15:0] WRITE = 0,
  parameter [3:0] MODE = 0,
  parameter [1:0] OLD = 0
) (
  input a_clk,
  input b_clk,
  input [1:0] enable,
  input [31:0] address,
  input [15:0] write,
  input [143:0] data,
  output [143:0] q
);
  localparam BITS = $clog2(BYTES);
  reg [8:0] bytes [0:BYTES-1];
  integer n;

  generate
    if (NINE) begin : nine
      initial for (n = 0; n < BYTES; n = n + 1) bytes[n] = INIT[20 * (n / 2) + 9 * (n % 2) +: 9];
    end else begin : eight
      initial for (n = 0; n < BYTES; n = n + 1) bytes[n] = {PARITY[n], INIT[8 * n +: 8]};
    end
  endgenerate

  genvar p, i;
  generate
    for (p = 0; p < 2; p = p + 1) begin : side
      localparam [7:0] R = READ[8*p +: 8];
      localparam [7:0] W = WRITE[8*p +: 8];
      localparam [7:0] V = WRITE[8*(1-p) +: 8];  // what the other port writes
      localparam [7:0] NARROW = R < V ? V : R;
      localparam R_BYTES = R < 9 ? 1 : R / 9;
      localparam W_BYTES = W < 9 ? 1 : W / 9;
      localparam V_BYTES = V < 9 ? 1 : V / 9;
      localparam [1:0] M = MODE[2*p +: 2];
      wire clk = p ? b_clk : a_clk;
      wire [2:0] bit0 = address[16*p +: 3];
      wire [BITS-1:0] byte0 = address[16*p + 3 +: BITS];
      wire [BITS-1:0] first_read = byte0 & ~(R_BYTES[BITS-1:0] - 1'b1);
      wire [BITS-1:0] first_written = byte0 & ~(W_BYTES[BITS-1:0] - 1'b1);
      wire [7:0] en = W == 0 || !enable[p] ? 8'h00 : write[8*p +: 8];
      initial
        if (M == 2 && R != W && R != 0 && W != 0) begin
          $display("fivebyfive: the model of a block RAM cannot read the new word in another width than it writes");
          $finish;
        end
      wire writes = |(en & ((9'd1 << W_BYTES) - 1'b1));

      for (i = 0; i < 8; i = i + 1) begin : lane
        if (W && i < W_BYTES) begin : written
          wire [8:0] value = data[72*p + 9*i +: 9];
          if (W < 9) begin : bits
            always @(posedge clk) if (en[i]) bytes[first_written][bit0 +: W] <= value[W-1:0];
          end else begin : whole
            always @(posedge clk) if (en[i]) bytes[first_written + i] <= value;
          end
        end
        if (R && i < R_BYTES) begin : read
          wire [BITS-1:0] here = first_read + i;
          wire [BITS-1:0] base = side[1-p].first_written;
          wire close = R >= 9 || V >= 9 || (bit0 ^ side[1-p].bit0) < NARROW;
          wire same = (here & ~(V_BYTES[BITS-1:0] - 1'b1)) == base && side[1-p].en[here & (V_BYTES - 1)] && close;
          wire [8:0] stored = bytes[here];
          wire [8:0] promised = stored ^ {9{same && !OLD[1-p]}};
          wire [8:0] own = M == 2 && en[i] ? data[72*p + 9*i +: 9] : promised;
          reg [8:0] out;
          initial out = 9'd0;
          wire [2:0] shift = R >= 9 || (M == 2 && en[i]) ? 3'd0 : bit0;
          always @(posedge clk) if (enable[p] && !(M == 0 && writes)) out <= own >> shift;
          assign q[72*p + 9*i +: 9] = R < 9 ? out & ((9'd1 << R) - 1'b1) : out;
        end else begin : unread
          assign q[72*p + 9*i +: 9] = 9'd0;
        end
      end
    end
  endgenerate
endmodule
