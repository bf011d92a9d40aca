  // Ours: 2,048 bytes of nine bits; output registers of up to 18 bits, always enabled; no reset. The module around it is
  // Yosys's.
  // Two bytes of nine bits lie in every 20 bits of INITVAL. With 18 bits or more the lowest address pins are the byte
  // enables. A width of 36 is one port that writes (A, with the data pins of both) and one that reads (B, likewise).
  localparam WIDE = DATA_WIDTH_A == 36;
  wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [17:0] data_a = {
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9,
    DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0
  };
  wire [17:0] data_b = {
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9,
    DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0
  };
  wire [3:0] write_a = DATA_WIDTH_A < 18 ? {4{WEA}} : address_a[3:0] & {4{WEA}};
  wire [3:0] write_b = DATA_WIDTH_B < 18 ? {4{WEB}} : address_b[3:0] & {4{WEB}};
  wire [143:0] q;
  reg [17:0] held_a = 0, held_b = 0;
  always @(posedge CLKA) held_a <= q[17:0];
  always @(posedge CLKB) held_b <= q[89:72];
  assign {
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9,
    DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0
  } = DATA_WIDTH_B == 36 ? q[89:72] : REGMODE_A == "NOREG" ? q[17:0] : held_a;
  assign {
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9,
    DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
  } = DATA_WIDTH_B == 36 ? q[107:90] : REGMODE_B == "NOREG" ? q[89:72] : held_b;

  fivebyfive_block_ram #(
    .BYTES(2048), .NINE(1),
    .INIT({
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
    INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
    INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
    INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
    INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
    INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
    INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
    INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
    }),
    .READ({DATA_WIDTH_B[7:0], WIDE ? 8'd0 : DATA_WIDTH_A[7:0]}),
    .WRITE({WIDE ? 8'd0 : DATA_WIDTH_B[7:0], DATA_WIDTH_A[7:0]}),
    .MODE({
      WRITEMODE_B == "READBEFOREWRITE" ? 2'd1 : WRITEMODE_B == "WRITETHROUGH" ? 2'd2 : 2'd0,
      WRITEMODE_A == "READBEFOREWRITE" ? 2'd1 : WRITEMODE_A == "WRITETHROUGH" ? 2'd2 : 2'd0
    })
  ) ram (
    .a_clk(CLKA), .b_clk(CLKB), .enable({CEB, CEA}), .address({2'b0, address_b, 2'b0, address_a}),
    .write({4'h0, write_b, 4'h0, write_a}),
    .data({54'd0, data_b, 36'd0, WIDE ? data_b : 18'd0, data_a}),
    .q(q)
  );

  initial
    if ((DATA_WIDTH_B == 36 && (REGMODE_A != "NOREG" || REGMODE_B != "NOREG")) || CLKAMUX != "CLKA" || CLKBMUX != "CLKB"
        || CSDECODE_A != "0b000" || CSDECODE_B != "0b000" || (DATA_WIDTH_B == 36 && !WIDE)) begin
      $display("fivebyfive: the model of DP16KD has no output registers of 36 bits, inverted clocks, other chip selects");
      $finish;
    end
  always @(posedge CLKA)
    if ((REGMODE_A != "NOREG" && !OCEA) || (REGMODE_B != "NOREG" && !OCEB) || RSTA || RSTB || CSA0 || CSA1 || CSA2 || CSB0 || CSB1 || CSB2 || (DATA_WIDTH_B == 36 && WEB)) begin
      $display("fivebyfive: the model of DP16KD has no reset, output enable, chip select or second port to write 36 bits");
      $finish;
    end
