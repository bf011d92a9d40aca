  // Ours: the product, of signed or unsigned factors as SIGNEDA and SIGNEDB say; registers of CLK0 before and behind it,
  // without enable and reset; no register inside it, no cascade. The module around it is Yosys's.
  wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
  wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
  reg [17:0] held_a = 0, held_b = 0;
  reg [35:0] held_p = 0;
  wire [17:0] used_a = REG_INPUTA_CLK == "NONE" ? a : held_a;
  wire [17:0] used_b = REG_INPUTB_CLK == "NONE" ? b : held_b;
  wire [35:0] product = {{18{SIGNEDA & used_a[17]}}, used_a} * {{18{SIGNEDB & used_b[17]}}, used_b};
  always @(posedge CLK0) begin
    held_a <= a;
    held_b <= b;
    held_p <= product;
  end
  assign {
    P35, P34, P33, P32, P31, P30, P29, P28, P27,
    P26, P25, P24, P23, P22, P21, P20, P19, P18,
    P17, P16, P15, P14, P13, P12, P11, P10, P9,
    P8, P7, P6, P5, P4, P3, P2, P1, P0
  } = REG_OUTPUT_CLK == "NONE" ? product : held_p;
  assign SIGNEDP = SIGNEDA | SIGNEDB;

  localparam NONE = REG_INPUTA_CLK == "NONE" && REG_INPUTB_CLK == "NONE" && REG_OUTPUT_CLK == "NONE";
  initial
    if ((REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0") || (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0")
        || (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0") || REG_PIPELINE_CLK != "NONE"
        || MULT_BYPASS != "DISABLED") begin
      $display("fivebyfive: the model of MULT18X18D has registers of CLK0 before and behind it, none inside, and no bypass");
      $finish;
    end
  always @*
    if (SOURCEA || SOURCEB || (!NONE && (!CE0 || RST0))) begin
      $display("fivebyfive: the model of MULT18X18D has no cascade, no enable and no reset");
      $finish;
    end
